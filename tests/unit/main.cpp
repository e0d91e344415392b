// The entry point of the unit tests. Catch2 is compiled here, once.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

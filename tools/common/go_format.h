// Numbers, times and strings written as Go's fmt and encoding/json write them, byte for byte, so that a script
// which reads the original tools' output reads ours.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace xdplb::tools {

// Shortest text that reads back as the same number; an exponent below 1e-4 and from 1e21 up (fmt.Println).
std::string print_float(double value);

// The same for encoding/json, whose exponents begin below 1e-6.
std::string json_float(double value);

// A string with its quotes. Control characters, <, > and & are escaped; what is not UTF-8 becomes U+FFFD: host names
// come from the network.
std::string json_string(std::string_view text);

// RFC 3339 with the local offset ("Z" for UTC) and as many fraction digits as are needed.
std::string rfc3339(const timespec& time);

// Nanoseconds as seconds, computed as time.Duration.Seconds() does.
double seconds(int64_t ns);

}  // namespace xdplb::tools

// The server of mconnect: tells each client this host's name. TCP: once on accept and once for each read; UDP: once
// for each datagram.
#pragma once

#include <memory>
#include <string>

#include "tools/common/tcp_server.h"
#include "tools/common/udp_server.h"

namespace xdplb::mconnect {

tools::MakeLogic name_sessions(std::string host);
tools::AnswerDatagram name_datagrams(std::string host);

}  // namespace xdplb::mconnect

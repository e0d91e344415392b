// StreamServer: the clients of a listening socket. Each sends a request and is sent the answer; what requests and
// answers are is for whoever owns the server to say.
//
// Served from the control thread's EventLoop, whoever asks: clients are counted, an exchange has a deadline, and a
// client that reads slowly is written to as it reads: nobody can hold up the loop or make it grow.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/base/unique_fd.h"
#include "user/ctl/event_loop.h"

namespace xdplb {

struct StreamAnswer {
  std::string head;
  std::shared_ptr<const std::string> body = nullptr;  // null: none; may be that of other answers too
};

struct StreamRules {
  size_t clients_max = 0;
  bool oldest_gives_way = false;  // to one too many; else that one is turned away
  bool one_request = false;       // then the connection ends; else the client may ask again
  std::function<bool(int fd)> is_allowed;
  // All that has come of a request. Nothing: more has to come.
  std::function<std::optional<StreamAnswer>(std::string_view received)> answer;
};

class StreamServer {
 public:
  // `loop` and what the rules refer to must outlive it.
  static Result<std::unique_ptr<StreamServer>> create(EventLoop& loop, UniqueFd listener, StreamRules rules);
  ~StreamServer();
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

 private:
  struct Client;
  using Step = void (StreamServer::*)(Client&);

  StreamServer(EventLoop& loop, UniqueFd listener, StreamRules rules);
  void accept_client();
  // A client is asking, being answered, or, after one answer, about to close.
  void start_reading(Client& client);
  void read(Client& client);
  void write(Client& client);
  void finish(Client& client);
  void discard(Client& client);
  void wait_for(Client& client, Interest interest, Step step);
  void drop(const Client& client);
  void drop_slow_clients();

  EventLoop& loop_;
  UniqueFd listener_;
  StreamRules rules_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;  // the oldest first
  uint64_t next_client_ = 1;
  FdAndTimer accepting_;
};

}  // namespace xdplb

// HttpServer: answers GET and HEAD of a few paths over HTTP/1.1, for metrics and health checks. It reads nothing but
// the request line and changes nothing.
//
// Served from the control thread's EventLoop, whoever asks: requests are bounded, an exchange has a deadline, and
// where there are too many clients the oldest goes, so that slow ones keep nobody out. One request a connection.
// Pages are made by their handlers on that thread and must be short work; a page that was just made is used again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/ctl/stream_server.h"
#include "user/net/flow_key_text.h"

namespace xdplb {

struct HttpPage {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

inline constexpr size_t kMaxHttpClients = 32;
inline constexpr size_t kMaxHttpRequestBytes = 8u << 10;
inline constexpr uint64_t kHttpPageAge_ns = 200'000'000;  // a page is made five times a second at most

class HttpServer {
 public:
  using Handler = std::function<HttpPage()>;

  // `loop` must outlive the object. Error: "Cannot listen on 192.0.2.1:9100: Cannot assign requested address".
  static Result<std::unique_ptr<HttpServer>> create(EventLoop& loop, const Endpoint& at);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void on(std::string path, Handler handler);
  [[nodiscard]] uint16_t port() const { return port_; }  // where 0 was asked for, the one that was given

 private:
  struct Page {
    Handler make;
    std::shared_ptr<const HttpPage> made;
    uint64_t made_ns = 0;
  };

  explicit HttpServer(uint16_t port) : port_(port) {}
  std::optional<StreamAnswer> answer_to(std::string_view received);
  std::shared_ptr<const HttpPage> page_of(std::string_view request_line);

  uint16_t port_;
  std::map<std::string, Page, std::less<>> pages_;
  std::unique_ptr<StreamServer> clients_;
};

}  // namespace xdplb

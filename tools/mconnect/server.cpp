#include "tools/mconnect/server.h"

namespace xdplb::mconnect {
namespace {

class NameLogic final : public tools::SessionLogic {
 public:
  explicit NameLogic(std::shared_ptr<const std::string> host) : host_(std::move(host)) {}
  void on_open(std::string& out) override { out += *host_; }
  void on_data(std::span<const char>, std::string& out) override { out += *host_; }

 private:
  std::shared_ptr<const std::string> host_;  // one for all sessions
};

}  // namespace

tools::MakeLogic name_sessions(std::string host) {
  auto shared = std::make_shared<const std::string>(std::move(host));
  return [shared] { return std::make_unique<NameLogic>(shared); };
}

tools::AnswerDatagram name_datagrams(std::string host) {
  return [host = std::move(host)](std::span<char>) { return std::string_view(host); };
}

}  // namespace xdplb::mconnect

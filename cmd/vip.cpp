// xdplb vip add, del, list: the virtual addresses of the default service. They lie in the shared memory; the daemon
// puts them into the kernel's map.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "cmd/common.h"
#include "cmd/operator_vips.h"
#include "user/ctl/vip_check.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::vector<std::string> addresses;
  std::string fallback = "drop";
  bool force = false;
};

Result<std::vector<IpPrefix>> parse_all(const std::vector<std::string>& texts) {
  std::vector<IpPrefix> vips;
  for (const std::string& text : texts) {
    const auto vip = parse_prefix(text);
    if (!vip) return vip.error();
    vips.push_back(*vip);
  }
  return vips;
}

Result<int> run_add(const Options& options) {
  const auto vips = parse_all(options.addresses);
  if (!vips) return vips.error();
  if (!options.force) {
    if (auto ok = check_vips_are_harmless(*vips); !ok) return fail("{}; --force if meant", ok.error().message);
  }
  auto store = open_store(options.shm, ConfigStore::Access::write);
  if (!store) return store.error();
  std::string of_file;
  const auto generation = store->update([&](Config& config) -> Result<void> {
    const auto service = require_default_service(config);
    if (!service) return service.error();
    if (config.origin.names_default) of_file = config.origin.file;
    auto& known = (*service)->vips;
    auto& pass = (*service)->pass_vips;
    for (const IpPrefix& vip : *vips) {
      if (std::find(known.begin(), known.end(), vip) == known.end()) known.push_back(vip);
      pass.erase(std::remove(pass.begin(), pass.end(), vip), pass.end());
      if (options.fallback == "pass") pass.push_back(vip);
    }
    return {};
  });
  if (!generation) return generation.error();
  if (!of_file.empty()) {
    fmt::print(stderr,
               "warning: the default service comes from {}: the next `xdplb apply` takes away what is not in it\n",
               of_file);
  }
  return report_in_force(*store, *generation);
}

// A VIP that is not there is no error, unless it is that of a service from a file: then the command cannot help.
Result<void> del(Config& config, const std::vector<IpPrefix>& vips, std::vector<IpPrefix>& absent) {
  const auto service = require_default_service(config);
  if (!service) return service.error();
  for (const IpPrefix& vip : vips) {
    for (const Service& other : config.services) {
      if (other.is_default || std::find(other.vips.begin(), other.vips.end(), vip) == other.vips.end()) continue;
      return fail("{} is a VIP of service \"{}\": change that in the configuration file", to_string(vip), other.name);
    }
    const auto& known = (*service)->vips;
    if (std::find(known.begin(), known.end(), vip) == known.end()) absent.push_back(vip);
    for (auto* list : {&(*service)->vips, &(*service)->pass_vips}) {
      list->erase(std::remove(list->begin(), list->end(), vip), list->end());
    }
  }
  return {};
}

Result<int> run_del(const Options& options) {
  const auto vips = parse_all(options.addresses);
  if (!vips) return vips.error();
  // What bpftool put into the map is the operator's: it is not in the configuration, and stays.
  for (const IpAddr& by_hand : list_operator_vips(options.shm)) {
    if (std::find(vips->begin(), vips->end(), IpPrefix{by_hand, 128}) == vips->end()) continue;
    return fail("{} was put into the map by hand: remove it with `bpftool map delete name xdp_vip_map key ...`",
                to_string(by_hand));
  }
  auto store = open_store(options.shm, ConfigStore::Access::write);
  if (!store) return store.error();
  std::vector<IpPrefix> absent;
  const auto generation = store->update([&](Config& config) { return del(config, *vips, absent); });
  if (!generation) return generation.error();
  for (const IpPrefix& vip : absent) fmt::print(stderr, "{} was no VIP\n", to_string(vip));
  return report_in_force(*store, *generation);
}

Result<int> run_list(const std::string& shm) {
  const auto store = open_store(shm, ConfigStore::Access::read);
  if (!store) return store.error();
  const auto stored = store->read();
  if (!stored) return stored.error();
  for (const Service& service : stored->config.services) {
    for (const IpPrefix& vip : service.vips) {
      fmt::print("{:<43} {:<4} {}\n", to_string(vip), falls_back_to_pass(service, vip) ? "pass" : "drop",
                 service.is_default && !stored->config.origin.names_default ? "vip add" : "service " + service.name);
    }
  }
  for (const IpAddr& vip : list_operator_vips(shm)) {
    fmt::print("{:<43} {:<4} {}\n", to_string(IpPrefix{vip, 128}), "", "bpftool");
  }
  return kExitDone;
}

}  // namespace

Action setup_vip(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.require_subcommand(1);
  CLI::App* add = app.add_subcommand("add", "add virtual addresses");
  CLI::App* del = app.add_subcommand("del", "take virtual addresses away");
  CLI::App* list = app.add_subcommand("list", "list them: address, fallback, where it comes from");
  for (CLI::App* sub : {add, del, list}) add_shm_option(*sub, options->shm);
  for (CLI::App* sub : {add, del}) {
    sub->add_option("ADDR[/LEN]", options->addresses, "IPv4 or IPv6 address or prefix")->required();
  }
  add->add_option("--fallback", options->fallback, "what the kernel does with its packets when no daemon serves them")
      ->check(CLI::IsMember({"drop", "pass"}))
      ->capture_default_str();
  add->add_flag("--force", options->force, "even an address that the host itself needs");
  return [options, add, del] {
    if (add->parsed()) return run_add(*options);
    if (del->parsed()) return run_del(*options);
    return run_list(options->shm);
  };
}

}  // namespace xdplb

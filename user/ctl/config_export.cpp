// Config -> the configuration file. Values that are the default are left out.
#include <nlohmann/json.hpp>

#include "user/ctl/config_json.h"
#include "user/ctl/config_names.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Target& target) {
  static const Target kDefault;
  Json json = {{"name", target.name}};
  if (!target.mac.is_zero()) json["mac"] = to_string(target.mac);
  if (target.address) json["address"] = to_string(*target.address);
  if (target.weight != kDefault.weight) json["weight"] = target.weight;
  if (target.state != kDefault.state) json["state"] = enum_name(kTargetStateNames, target.state);
  if (target.unreachable != kDefault.unreachable) {
    json["unreachable"] = enum_name(kUnreachableNames, target.unreachable);
  }
  if (!target.description.empty()) json["description"] = target.description;
  return json;
}

Json to_json(const Listen& listen) {
  Json json;
  json["protocol"] = listen.protocol;
  for (const auto& [name, number] : kProtocolNames) {
    if (number == listen.protocol) json["protocol"] = name;
  }
  for (const PortRange& range : listen.ports) {
    if (range.first == range.last) {
      json["ports"].push_back(range.first);
    } else {
      json["ports"].push_back(std::to_string(range.first) + "-" + std::to_string(range.last));
    }
  }
  return json;
}

Json to_json(const std::vector<IpPrefix>& vips) {
  Json json = Json::array();
  for (const IpPrefix& vip : vips) json.push_back(to_string(vip));
  return json;
}

Json timeouts_to_json(const Timeouts& timeouts) {
  static const Timeouts kDefault;
  Json json = Json::object();
  for (const auto& [name, member] : kTimeoutNames) {
    if (timeouts.*member != kDefault.*member) json[std::string(name)] = timeouts.*member;
  }
  return json;
}

Json to_json(const Config& config, const Service& service) {
  static const Service kDefault;
  Json json = {{"name", service.name}};
  if (!service.description.empty()) json["description"] = service.description;
  json["vips"] = to_json(service.vips);
  if (!service.pass_vips.empty()) json["pass_vips"] = to_json(service.pass_vips);
  for (const Listen& listen : service.listen) json["listen"].push_back(to_json(listen));
  json["targets"] = Json::array();
  for (const TargetUse& use : service.targets) {
    const std::string& name = config.targets[use.target].name;
    if (use.weight) {
      json["targets"].push_back({{"name", name}, {"weight", *use.weight}});
    } else {
      json["targets"].push_back(name);
    }
  }
  if (service.need != kDefault.need) json["need"] = service.need;
  if (service.table_size != kDefault.table_size) json["table_size"] = service.table_size;
  if (service.on_empty != kDefault.on_empty) json["on_empty"] = enum_name(kOnEmptyNames, service.on_empty);
  if (service.hash_fields != kDefault.hash_fields) json["hash"] = enum_name(kHashFieldsNames, service.hash_fields);
  if (service.algorithm != kDefault.algorithm) json["algorithm"] = enum_name(kAlgorithmNames, service.algorithm);
  if (service.fallback_pass) json["fallback"] = enum_name(kFallbackNames, true);
  if (service.timeouts != kDefault.timeouts) json["timeouts"] = timeouts_to_json(service.timeouts);
  if (service.flow_quota_percent != kDefault.flow_quota_percent) {
    json["flow_quota_percent"] = service.flow_quota_percent;
  }
  if (service.embryonic_quota_percent != kDefault.embryonic_quota_percent) {
    json["embryonic_quota_percent"] = service.embryonic_quota_percent;
  }
  return json;
}

}  // namespace

std::string config_to_json(const Config& config) {
  Json json = {{"version", 1}};
  if (config.hash_seed != 0) json["hash_seed"] = config.hash_seed;
  json["targets"] = Json::array();
  for (const Target& target : config.targets) json["targets"].push_back(to_json(target));
  json["services"] = Json::array();
  for (const Service& service : config.services) json["services"].push_back(to_json(config, service));
  if (!config.lb_tier.members.empty()) {
    json["lb_tier"]["own_index"] = config.lb_tier.own_index;
    for (const MacAddr& mac : config.lb_tier.members) json["lb_tier"]["members"].push_back(to_string(mac));
  }
  // A description may hold bytes that are not UTF-8: replaced, not thrown over.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace xdplb

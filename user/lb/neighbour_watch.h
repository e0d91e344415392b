// NeighbourWatch: the MACs of targets that are known by IP address. Pure: what the kernel says of its neighbours goes
// in, with the time; whom to ask about and what became of whom come out. The control thread's
// (user/path/neighbour_control.h).
//
// The kernel does the asking (ARP, RFC 826; neighbour discovery, RFC 4861) and the waiting for answers. An entry that
// it has confirmed lately is left alone; any other is put to it again once a second, which makes it probe what is
// stale. So a server that is quiet for hours stays known, and one that is gone is found out within the kernel's own
// times (some 40 seconds by default; at once where it is the first time that it is asked for).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "user/net/ip.h"
#include "user/net/mac.h"

namespace xdplb {

// What is known of the way to a target.
enum class Reach : uint8_t {
  by_mac,       // its MAC is configured: nobody asks
  resolving,    // asked for, and not known yet
  reachable,    // its MAC is known
  unreachable,  // asked for in vain
  off_link,     // behind a gateway or on another device: no MAC of its own to send to
  looping,      // its MAC is one of ours, or of everybody
};
inline constexpr size_t kReachCount = 6;
// "by mac", "resolving", ...
std::string_view to_string(Reach reach);

// What the kernel's table says of an address.
enum class NeighbourNews : uint8_t {
  confirmed,  // it answered lately, or is set by hand
  stale,      // known, perhaps no longer so
  pending,    // being asked for, or forgotten
  failed,     // asked for in vain
};

struct ReachState {
  Reach reach = Reach::resolving;
  MacAddr mac;  // the last one known; zero: none
  friend bool operator==(const ReachState&, const ReachState&) = default;
};

struct ReachChange {
  IpAddr address;
  ReachState before;
  ReachState now;
};

class NeighbourWatch {
 public:
  // From now on these; those that stay keep what is known of them.
  void follow(const std::vector<IpAddr>& addresses);
  // No packet may be sent to these: they are ours.
  void set_own(std::vector<MacAddr> own);

  void heard(const IpAddr& address, NeighbourNews news, const MacAddr& mac);
  void set_off_link(const IpAddr& address, bool off_link);
  // The device is another, or its events were lost: what was confirmed is to be asked for again.
  void doubt_all();

  // Whom to ask the kernel about now, at most so many; each at most once in kNeighbourAskEveryNs.
  std::vector<IpAddr> take_due(uint64_t now_ns, size_t max);
  // What has changed since the last call. Cheap where nothing was heard.
  std::vector<ReachChange> take_changes();

  [[nodiscard]] std::optional<ReachState> find(const IpAddr& address) const;
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // Whether some address has neither been found nor given up.
  [[nodiscard]] bool is_resolving() const;

 private:
  struct Entry {
    ReachState state;
    ReachState told;  // by take_changes
    bool confirmed = false;
    bool off_link = false;
    uint64_t ask_at_ns = 0;
  };
  void settle(Entry& entry, Reach reach, const MacAddr& mac);
  [[nodiscard]] bool would_loop(const MacAddr& mac) const;

  std::map<IpAddr, Entry> entries_;
  std::vector<MacAddr> own_;
  bool changed_ = false;  // perhaps
  IpAddr last_asked_;     // the next call of take_due goes on behind it
};

inline constexpr uint64_t kNeighbourAskEveryNs = 1'000'000'000;

}  // namespace xdplb

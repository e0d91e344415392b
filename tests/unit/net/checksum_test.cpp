#include "user/net/checksum.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/support/packet.h"

namespace xdplb {
namespace {

using namespace test;

unsigned fold_plainly(unsigned long sum) {
  while (sum >> 16 != 0) sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<unsigned>(sum);
}

unsigned sum_plainly(const Bytes& bytes, unsigned long sum = 0) {
  for (size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<unsigned long>(bytes[i] << 8) + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
  return fold_plainly(sum);
}

enum class Field { partial, complete, corrupted, none };

// An Ethernet frame around one TCP or UDP packet, and where its checksum lies.
struct Frame {
  Bytes bytes;
  size_t field = 0;
  unsigned complete = 0;  // the right checksum
};

Frame make_frame(bool v6, unsigned protocol, const Bytes& payload, Field state, const Bytes& padding = {}) {
  Bytes l4 = protocol == 6 ? tcp(1000, 80, 0x18, payload) : udp(1000, 53, payload);
  const size_t at = protocol == 6 ? 16 : 6;
  l4[at] = l4[at + 1] = 0;
  const Bytes addresses = v6 ? kClient6 + kVip6 : kClient4 + kVip4;
  const unsigned pseudo = sum_plainly(addresses, static_cast<unsigned long>(protocol + l4.size()));
  Frame frame;
  frame.complete = ~sum_plainly(l4, pseudo) & 0xffff;
  if (frame.complete == 0) frame.complete = 0xffff;
  const unsigned value = state == Field::partial    ? pseudo
                         : state == Field::complete ? frame.complete
                         : state == Field::none     ? 0
                                                    : frame.complete ^ 0x5555;
  l4[at] = static_cast<uint8_t>(value >> 8);
  l4[at + 1] = static_cast<uint8_t>(value);
  const Bytes head = ether(v6 ? 0x86dd : 0x0800);
  frame.bytes = head + (v6 ? ipv6(protocol, l4) : ipv4(protocol, l4)) + padding;
  frame.field = frame.bytes.size() - padding.size() - l4.size() + at;
  return frame;
}

bool complete(Bytes& bytes) {
  PacketInfo info;
  REQUIRE(parse_packet(bytes, info) == Reason::none);
  const bool partial = has_partial_checksum(bytes.data(), info);
  const bool completed = complete_checksum(bytes, info);
  CHECK(partial == completed);
  return completed;
}

TEST_CASE("the sum is that of RFC 1071", "[net][checksum]") {
  CHECK(checksum_fold(hex("0001 f203 f4f5 f6f7")) == 0xddf2);  // the RFC's own example
  CHECK(checksum_fold({}) == 0);
  CHECK(checksum_fold({}, 0x1fffe) == 0xffff);
  CHECK(checksum_fold(hex("ab")) == 0xab00);
  CHECK(checksum_fold(hex("ffff"), 1) == 1);
}

TEST_CASE("the sum agrees with the plain one for every length", "[net][checksum]") {
  std::mt19937 random(1);
  for (size_t len = 0; len < 300; ++len) {
    Bytes bytes(len);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
    const auto initial = static_cast<uint32_t>(random());
    CAPTURE(len);
    CHECK(checksum_fold(bytes, initial) == sum_plainly(bytes, initial));
  }
  const Bytes ones = fill(65535, 0xff);  // the largest sum there is
  CHECK(checksum_fold(ones) == sum_plainly(ones));
}

TEST_CASE("a partial checksum is completed", "[net][checksum]") {
  for (const bool v6 : {false, true})
    for (const unsigned protocol : {6u, 17u})
      for (const size_t len : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{31}, size_t{1400}})
        for (const size_t padding : {size_t{0}, size_t{5}}) {
          CAPTURE(v6, protocol, len, padding);
          const Bytes payload = fill(len, 0x61);
          Frame frame = make_frame(v6, protocol, payload, Field::partial, fill(padding, 0x99));
          Bytes expected = frame.bytes;
          expected[frame.field] = static_cast<uint8_t>(frame.complete >> 8);
          expected[frame.field + 1] = static_cast<uint8_t>(frame.complete);
          CHECK(complete(frame.bytes));
          CHECK(frame.bytes == expected);
          CHECK_FALSE(complete(frame.bytes));  // it is no longer partial
        }
}

TEST_CASE("a checksum that comes to zero is written as all ones", "[net][checksum]") {
  // Two payload bytes that make the sum of everything 0xffff.
  const unsigned without = make_frame(false, 17, fill(2), Field::partial).complete;
  Frame frame = make_frame(false, 17, be16(without), Field::partial);
  CHECK(complete(frame.bytes));
  CHECK(frame.bytes[frame.field] == 0xff);
  CHECK(frame.bytes[frame.field + 1] == 0xff);
}

TEST_CASE("what is not partial is left alone", "[net][checksum]") {
  for (const bool v6 : {false, true})
    for (const unsigned protocol : {6u, 17u})
      for (const Field state : {Field::complete, Field::corrupted, Field::none}) {
        CAPTURE(v6, protocol, static_cast<int>(state));
        Frame frame = make_frame(v6, protocol, fill(100, 0x31), state);
        const Bytes before = frame.bytes;
        CHECK_FALSE(complete(frame.bytes));
        CHECK(frame.bytes == before);
      }
}

TEST_CASE("fragments, errors and other protocols are left alone", "[net][checksum]") {
  // The quoted or fragmented datagram has a partial checksum; it must not be touched.
  const Bytes whole = make_frame(false, 17, fill(8), Field::partial).bytes;
  const Bytes datagram(whole.begin() + 34, whole.end());
  const Bytes quoted = ipv4(17, datagram, {.src = kVip4, .dst = kClient4});
  Bytes cases[] = {
      ether(0x0800) + ipv4(17, datagram, {.fragment = 0x2000}),
      ether(0x0800) + ipv4(17, datagram, {.fragment = 0x0001}),
      ether(0x0800) + ipv4(1, icmp(3, 4, be32(1400) + quoted)),
      ether(0x0800) + ipv4(132, datagram + fill(4)),
      ether(0x0800) + ipv4(136, datagram),
  };
  for (Bytes& frame : cases) {
    const Bytes before = frame;
    CHECK_FALSE(complete(frame));
    CHECK(frame == before);
  }
}

TEST_CASE("a datagram shorter than its IP packet is summed by its own length", "[net][checksum]") {
  Frame frame = make_frame(true, 17, fill(10, 0x42), Field::partial);
  Bytes longer = frame.bytes + fill(6, 0x77);
  longer[14 + 5] = static_cast<uint8_t>(longer[14 + 5] + 6);  // the IPv6 payload length alone
  CHECK(complete(longer));
  CHECK((longer[frame.field] << 8 | longer[frame.field + 1]) == static_cast<int>(frame.complete));
}

}  // namespace
}  // namespace xdplb

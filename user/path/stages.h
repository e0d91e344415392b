// The way of a packet from RX ring to TX ring: one plain loop over the batch per stage, in the order of this file.
//
//   receive -> parse -> look_up -> find -> decide -> rewrite -> transmit
//
// (The three in the middle are user/lb/steer.h.) Each packet carries a Reason; the first stage that finds one drops
// it, and transmit gives its frame back to the pool. A Batch belongs to one worker thread. What calls the kernel is
// the worker's turn (user/path/worker.h), and transmit where one way out has to be emptied before the other is taken.
#pragma once

#include <cstdint>

#include "umem/port.h"
#include "user/lb/steer.h"
#include "user/path/counters.h"
#include "user/path/live_transmit.h"

namespace xdplb {

// The packets of a batch that leave one way, in order, and their places in the batch.
struct Outgoing {
  uint32_t count = 0;
  FrameRef frames[kMaxBatch];
  uint32_t index[kMaxBatch];

  [[nodiscard]] std::span<const FrameRef> packets() const { return {frames, count}; }
};

struct Batch {
  uint32_t count = 0;
  FrameRef frames[kMaxBatch];
  uint8_t* data[kMaxBatch];
  PacketColumns packets;
  Outgoing out;  // of the stage that sends; here, so that nobody clears it for each batch
};

// What the egress side wants of every packet.
struct EgressRules {
  MacAddr mac;                      // of the egress device: the source of what we send
  uint32_t mtu = 1500;              // bytes of IP packet
  bool complete_checksums = false;  // the ingress peer leaves TCP and UDP checksums to the hardware (veth, VM)
};

// Takes up to `max` packets off the RX ring, and asks for the first lines of the first of them; parse asks for the
// others while it goes. A core waits for some 16 lines at a time: to ask for more is to stand still.
inline constexpr uint32_t kPrefetchAhead = 12;  // packets
void receive(Port& ingress, const FrameArea& area, uint32_t max, Batch& batch, WorkerCounters& counters);

void parse(Batch& batch);

// Writes the MAC addresses, and the checksum where a peer left it undone.
void rewrite(const Snapshot& snapshot, const EgressRules& egress, Batch& batch);

// Makes batch.out the packets of this fate.
void gather(Batch& batch, Fate fate);

// Queues batch.out on the port's TX ring; what it has no room for becomes a drop. Returns how many it took.
uint32_t queue_out(Port& port, Batch& batch);

// The ways out: the TX ring of a port, and live frames where the device takes them.
struct Egress {
  Port* port = nullptr;
  LiveTransmit* live = nullptr;  // may be null
};

// Queues or stages what is to be forwarded, one way or the other as a whole, gives what is dropped back to the pool,
// and counts both. What is to be held stays in the batch.
void transmit(const Egress& egress, const FrameArea& area, FramePool& pool, Batch& batch, WorkerCounters& counters,
              uint64_t now_ns);

// The live frames that are staged leave. At the end of a turn, so that its batches share a call.
void send_staged(LiveTransmit& live, WorkerCounters& counters);

}  // namespace xdplb

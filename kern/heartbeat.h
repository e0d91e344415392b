/* Whether the worker behind a slot still beats, as abi.h defines it. Pure and inline: the time is an argument, so
 * that the unit tests can play a pause of the whole machine.
 *
 * Called by the one CPU that polls the slot's queue. A slot that beats costs one cache line read and nothing
 * written: the second line is touched only during an episode, which stale_ns != 0 marks. */
#ifndef XDPLB_KERN_HEARTBEAT_H
#define XDPLB_KERN_HEARTBEAT_H

#include "kern/abi.h"

/* now_ns may lag behind the worker's clock (the coarse clock does by a tick): hence the signed difference. */
static inline __attribute__((always_inline)) int xdplb_beats(struct xdplb_slot* slot, __u64 now_ns) {
  const __s64 age_ns = (__s64)(now_ns - slot->beat_ns);
  __u64 watched_ns;
  if (age_ns <= (__s64)slot->stale_after_ns) {
    if (slot->stale_ns != 0) slot->stale_ns = 0;
    return 1;
  }
  if (slot->stale_ns == 0) { /* the episode begins: nothing has been watched yet */
    slot->stale_ns = 1;
    slot->observed_ns = now_ns;
  }
  watched_ns = now_ns - slot->observed_ns;
  if (watched_ns > XDPLB_OBSERVATION_MAX_NS) watched_ns = XDPLB_OBSERVATION_MAX_NS;
  slot->observed_ns = now_ns;
  slot->stale_ns += watched_ns;
  return slot->stale_ns <= slot->stale_grace_ns;
}

#endif

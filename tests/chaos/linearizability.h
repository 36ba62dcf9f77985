// Whether a history is linearizable: whether there is an order of all operations in which each
// takes effect at one instant between its start and its end, and every get sees what the last write
// to its key before it left.
//
// Keys are independent of each other (linearizability is local), so each is judged alone. Method:
// the just-in-time linearization of Lowe, "Testing for linearizability" (2017), for one register.
// The events are walked in the order of time, with all states that the register can be in and, for
// each, which of the operations under way have taken effect. An operation takes effect at the
// latest when its answer comes; what no order explains empties the set.
//
// Three facts of a register keep the set small. A get changes nothing, so it takes effect in the
// first state that it fits. A put of unknown outcome that no get saw can be left out. Deletes of
// unknown outcome are all alike: how many were needed is all that counts.
#pragma once

#include <string>

#include "tests/chaos/history.h"

namespace small_db::testing {

struct Verdict {
  bool holds = true;
  std::string why_not;  // one violation, for people: the operation, and what was around it
};

// Keys are absent at first. Every answered get of a run must be in it, and every write that may
// have taken effect; the order of the entries means nothing.
Verdict check_linearizable(const History& history);

// Revisions of answers, where they were told: no two writes have the same; a write that began after
// another ended has a higher one; a get's is that of the put whose value it saw.
Verdict check_revisions(const History& history);

}  // namespace small_db::testing

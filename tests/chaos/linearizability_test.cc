#include "tests/chaos/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace small_db::testing {
namespace {

Operation put(ValueId value, int64_t start, int64_t end, uint64_t revision = 0) {
  return {1, OperationKind::kPut, value, start, end, revision};
}
Operation get(ValueId value, int64_t start, int64_t end, uint64_t revision = 0) {
  return {1, OperationKind::kGet, value, start, end, revision};
}
Operation del(int64_t start, int64_t end, uint64_t revision = 0) {
  return {1, OperationKind::kDelete, kAbsent, start, end, revision};
}
Operation of_key(uint32_t key, Operation operation) {
  operation.key = key;
  return operation;
}

void expect_holds(const History& history) {
  const Verdict verdict = check_linearizable(history);
  EXPECT_TRUE(verdict.holds) << verdict.why_not;
}

void expect_violation(const History& history, const std::string& of) {
  const Verdict verdict = check_linearizable(history);
  EXPECT_FALSE(verdict.holds);
  EXPECT_NE(verdict.why_not.find("no order explains: " + of), std::string::npos) << verdict.why_not;
}

TEST(Linearizability, HoldsForNothing) { expect_holds({}); }

TEST(Linearizability, HoldsForOneAfterTheOther) {
  expect_holds({get(0, 1, 2), put(7, 3, 4), get(7, 5, 6), del(7, 8), get(0, 9, 10), put(8, 11, 12),
                put(9, 13, 14), get(9, 15, 16)});
}

TEST(Linearizability, DoesNotDependOnTheOrderOfEntries) {
  expect_holds({get(7, 5, 6), put(7, 3, 4), get(0, 1, 2)});
  expect_violation({get(0, 5, 6), put(7, 3, 4), get(0, 1, 2)}, "get 0");
}

TEST(Linearizability, LetsAGetDuringAPutSeeEither) {
  expect_holds({put(7, 1, 10), get(0, 2, 3), get(7, 4, 5)});
  expect_holds({put(7, 1, 10), get(0, 2, 3), get(0, 4, 5), get(7, 11, 12)});
}

TEST(Linearizability, LetsWritesAtTheSameTimeTakeAnyOrder) {
  expect_holds({put(7, 1, 10), put(8, 2, 9), get(7, 11, 12)});
  expect_holds({put(7, 1, 10), put(8, 2, 9), get(8, 11, 12)});
  expect_holds({put(7, 1, 10), put(8, 2, 9), get(8, 3, 4), get(7, 5, 6)});
}

TEST(Linearizability, FindsAStaleRead) {
  expect_violation({put(7, 1, 2), put(8, 3, 4), get(7, 5, 6)}, "get 7");
}

TEST(Linearizability, FindsReadsThatGoBack) {
  expect_violation({put(7, 1, 2), put(8, 3, 10), get(8, 4, 5), get(7, 6, 7)}, "get 7");
}

TEST(Linearizability, FindsTwoReadersThatDisagreeOnTheOrder) {
  expect_violation({put(7, 1, 2), put(8, 1, 2), get(7, 3, 4), get(8, 5, 6)}, "get 8");
}

TEST(Linearizability, FindsALostPut) { expect_violation({put(7, 1, 2), get(0, 3, 4)}, "get 0"); }

TEST(Linearizability, FindsALostDelete) {
  expect_violation({put(7, 1, 2), del(3, 4), get(7, 5, 6)}, "get 7");
}

TEST(Linearizability, FindsADeletedValueThatComesBack) {
  expect_violation({put(7, 1, 2), del(3, 4), get(0, 5, 6), get(7, 7, 8)}, "get 7");
}

TEST(Linearizability, FindsAWriteThatIsDoneTwice) {
  expect_violation({put(7, 1, 2), put(8, 3, 4), get(8, 5, 6), get(7, 7, 8)}, "get 7");
}

TEST(Linearizability, FindsADeleteThatIsDoneTwice) {
  expect_violation({put(7, 1, 2), del(3, 4), put(8, 5, 6), get(0, 7, 8)}, "get 0");
}

TEST(Linearizability, FindsAValueFromNowhere) {
  expect_violation({put(7, 1, 2), get(9, 3, 4)}, "get 9");
}

TEST(Linearizability, FindsAValueBeforeItWasWritten) {
  expect_violation({get(7, 1, 2), put(7, 3, 4)}, "get 7");
}

TEST(Linearizability, FindsAWriteThatWasSaidToBeRefused) {
  // What is known not to have happened is not in the history.
  expect_violation({put(7, 1, 2), get(8, 3, 4)}, "get 8");
}

TEST(Linearizability, LetsAnUnknownPutHappenAtAnyLaterTimeOrNever) {
  const Operation unknown = put(8, 3, kNever);
  expect_holds({put(7, 1, 2), unknown, get(7, 5, 6), get(7, 50, 60)});
  expect_holds({put(7, 1, 2), unknown, get(7, 5, 6), get(8, 50, 60)});
  expect_holds({put(7, 1, 2), unknown, put(9, 10, 11), get(9, 12, 13), get(8, 50, 60)});
  expect_violation({put(7, 1, 2), unknown, get(8, 1, 2)}, "get 8");
}

TEST(Linearizability, LetsAnUnknownPutHappenOnlyOnce) {
  expect_violation({put(8, 1, kNever), get(8, 2, 3), put(9, 4, 5), get(8, 6, 7)}, "get 8");
  expect_violation({put(8, 1, kNever), get(8, 2, 3), del(4, 5), get(0, 6, 7), get(8, 8, 9)},
                   "get 8");
}

TEST(Linearizability, LetsAnUnknownDeleteHappenAtAnyLaterTimeOrNever) {
  expect_holds({put(7, 1, 2), del(3, kNever), get(7, 50, 60)});
  expect_holds({put(7, 1, 2), del(3, kNever), get(7, 5, 6), get(0, 50, 60)});
  expect_holds({del(1, kNever), put(7, 2, 3), get(7, 5, 6), put(8, 7, 8), get(0, 50, 60)});
}

TEST(Linearizability, LetsAnUnknownDeleteHappenOnlyOnce) {
  expect_violation(
      {del(1, kNever), put(7, 2, 3), get(0, 5, 6), put(8, 7, 8), get(0, 50, 60), get(0, 70, 80)},
      "get 0");
  expect_holds({del(1, kNever), del(1, kNever), put(7, 2, 3), get(0, 5, 6), put(8, 7, 8),
                get(0, 50, 60), get(0, 70, 80)});
  expect_violation({put(7, 2, 3), get(0, 5, 6), del(7, kNever)}, "get 0");
}

TEST(Linearizability, TreatsAWriteThatWasSentAgainAsTwo) {
  // The first sending may still take effect after the second was answered.
  expect_holds({put(7, 1, kNever), put(7, 1, 5), put(8, 6, 7), get(7, 8, 9)});
  expect_violation(
      {put(7, 1, kNever), put(7, 1, 5), put(8, 6, 7), get(7, 8, 9), put(9, 10, 11), get(7, 12, 13)},
      "get 7");
}

TEST(Linearizability, JudgesEachKeyAlone) {
  expect_holds({of_key(1, put(7, 1, 2)), of_key(2, get(0, 3, 4)), of_key(1, get(7, 3, 4))});
  expect_violation({of_key(1, put(7, 1, 2)), of_key(2, get(7, 3, 4))}, "get 7");
}

TEST(Linearizability, IgnoresGetsWithoutAnAnswer) {
  expect_holds({put(7, 1, 2), get(0, 3, kNever)});
}

// Every order is tried: slow and plainly right.
bool has_order(const History& left, ValueId value) {
  int64_t first_end = kNever;
  bool only_unknown = true;
  for (const Operation& operation : left) {
    first_end = std::min(first_end, operation.end);
    only_unknown = only_unknown && operation.is_unknown();
  }
  if (only_unknown) return true;
  for (size_t i = 0; i < left.size(); i++) {
    if (left[i].start > first_end) continue;
    if (!left[i].is_write() && left[i].value != value) continue;
    History rest = left;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    if (has_order(rest, left[i].is_write() ? left[i].value : value)) return true;
  }
  return false;
}

History random_history(std::mt19937& random, size_t operations) {
  History history;
  ValueId next = 1;
  for (size_t i = 0; i < operations; i++) {
    const int64_t start = static_cast<int64_t>(random() % 20);
    const int64_t end = random() % 5 == 0 ? kNever : start + 1 + static_cast<int64_t>(random() % 8);
    switch (random() % 5) {
      case 0:
        history.push_back(del(start, end));
        break;
      case 1:
        // At times one that was sent again.
        history.push_back(put(next > 1 && random() % 4 == 0 ? next - 1 : next++, start, end));
        break;
      case 2:
        history.push_back(put(next++, start, end));
        break;
      default:
        history.push_back(get(random() % 4, start, end == kNever ? start + 3 : end));
    }
  }
  return history;
}

TEST(Linearizability, AgreesWithTryingEveryOrder) {
  std::mt19937 random(20261);
  int linearizable = 0;
  constexpr int kRounds = 20'000;
  for (int round = 0; round < kRounds; round++) {
    const History history = random_history(random, 2 + random() % 6);
    const bool expected = has_order(history, kAbsent);
    const Verdict verdict = check_linearizable(history);
    linearizable += expected ? 1 : 0;
    ASSERT_EQ(verdict.holds, expected) << round << ": " << verdict.why_not;
  }
  EXPECT_GT(linearizable, kRounds / 10);
  EXPECT_LT(linearizable, kRounds * 9 / 10);
}

// What `clients` see of a register that is one, each operation taking effect at a random instant of
// its time; each client does one thing at a time.
History true_history(std::mt19937& random, size_t clients, size_t operations) {
  struct Effect {
    int64_t at;
    Operation* operation;
  };
  History history(operations);
  std::vector<int64_t> free_at(clients, 0);
  std::vector<Effect> effects;
  for (size_t i = 0; i < operations; i++) {
    int64_t& now = free_at[i % clients];
    Operation& operation = history[i];
    operation.key = 1;
    operation.start = now + static_cast<int64_t>(random() % 5);
    const int64_t at = operation.start + static_cast<int64_t>(random() % 50);
    now = operation.end = at + static_cast<int64_t>(random() % 50);
    effects.push_back({at, &operation});
    const uint32_t kind = random() % 10;
    if (kind < 5) continue;
    operation.kind = kind < 8 ? OperationKind::kPut : OperationKind::kDelete;
    if (kind < 8) operation.value = i + 1;
    if (random() % 100 == 0) operation.end = kNever;
    if (operation.is_unknown() && random() % 2 == 0) effects.pop_back();
  }
  std::sort(effects.begin(), effects.end(),
            [](const Effect& a, const Effect& b) { return a.at < b.at; });
  ValueId value = kAbsent;
  for (const Effect& effect : effects) {
    if (effect.operation->is_write()) {
      value = effect.operation->value;
    } else {
      effect.operation->value = value;
    }
  }
  return history;
}

TEST(Linearizability, HoldsForManyClientsOfATrueRegister) {
  std::mt19937 random(5);
  for (const size_t clients : {2u, 4u, 8u}) {
    expect_holds(true_history(random, clients, 4000));
  }
}

TEST(Linearizability, FindsOneStaleReadAmongMany) {
  std::mt19937 random(6);
  for (int round = 0; round < 20; round++) {
    History history = true_history(random, 4, 2000);
    // Long after another value was written and seen.
    Operation old;
    for (size_t i = 0; i < history.size() / 2; i++) {
      if (history[i].kind == OperationKind::kPut && !history[i].is_unknown()) old = history[i];
    }
    history.push_back(get(old.value, 1'000'000, 1'000'001));
    history.push_back(put(1'000'000, 900'000, 900'001));
    EXPECT_FALSE(check_linearizable(history).holds);
  }
}

TEST(Revisions, FollowTheOrderOfWrites) {
  EXPECT_TRUE(check_revisions({put(7, 1, 2, 10), del(3, 4, 11), get(7, 2, 3, 10)}).holds);
  EXPECT_TRUE(check_revisions({put(7, 1, 4, 11), put(8, 2, 3, 10)}).holds);
  EXPECT_TRUE(check_revisions({put(7, 1, 4), put(8, 2, kNever), get(7, 5, 6)}).holds);
  EXPECT_FALSE(check_revisions({put(7, 1, 2, 11), put(8, 3, 4, 10)}).holds);
  // Of other keys, too: there is one log.
  EXPECT_FALSE(check_revisions({put(7, 1, 2, 11), of_key(2, put(8, 3, 4, 10))}).holds);
}

TEST(Revisions, AreToldOnce) {
  EXPECT_FALSE(check_revisions({put(7, 1, 3, 10), put(8, 2, 4, 10)}).holds);
}

TEST(Revisions, OfAGetAreThoseOfItsValue) {
  EXPECT_FALSE(check_revisions({put(7, 1, 2, 10), get(7, 3, 4, 11)}).holds);
  EXPECT_TRUE(check_revisions({put(7, 1, kNever), put(7, 1, 2, 10), get(7, 3, 4, 9)}).holds);
}

}  // namespace
}  // namespace small_db::testing

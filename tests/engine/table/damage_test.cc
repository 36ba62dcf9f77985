// A damaged tree gives kCorruption, or another answer, but never an access outside of the arena.
#include "engine/table/reader.h"
#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

class DamageTest : public TableTest {
 protected:
  DamageTest() : TableTest(8 * kMiB) {
    begin();
    for (int i = 0; i < 12000; ++i) {
      const std::string value = i % 3000 == 0 ? std::string(70000, 'v') : std::string("value");
      EXPECT_TRUE(put("some/key/" + std::to_string(i * 7919 % 12007), value).is_ok());
    }
    commit();
    collect_nodes(BlockRef::from_word(table_.published()->tree),
                  table_.published()->tree_height - 1);
  }

  void collect_nodes(BlockRef ref, uint32_t level) {
    Node* node = node_at(ArenaView(region_.arena()), ref, level);
    nodes_.push_back(node);
    if (level == 0) return;
    for (uint32_t i = 0; i <= node->count; ++i) collect_nodes(node->child(i), level - 1);
  }

  static bool is_an_answer(const Status& status) {
    return status.is_ok() || status.code() == Code::kNotFound || status.code() == Code::kCorruption;
  }

  void read_everything() {
    const Snapshot state = snapshot();
    for (int i = 0; i < 12007; i += 101) {
      const std::string key = "some/key/" + std::to_string(i);
      const Result<StoredRecord> record = state.find(as_bytes(key));
      ASSERT_TRUE(is_an_answer(record.status()));
      if (record.is_ok()) value_text(record.value().value);
    }
    const Result<StoredRecord> short_key = state.find(as_bytes("s"));
    ASSERT_TRUE(is_an_answer(short_key.status()));
    Cursor cursor = state.cursor();
    Status status = cursor.seek_first();
    for (int i = 0; i < 13000 && status.is_ok() && cursor.is_valid(); ++i) {
      const Result<StoredRecord> record = cursor.record();
      if (record.is_ok()) value_text(record.value().value);
      status = cursor.next();
    }
    ASSERT_TRUE(is_an_answer(status));
  }

  // Of the nodes next to the root as often as of any other, and of headers often.
  uint64_t* any_word(std::mt19937_64& random) {
    Node* node = nodes_[random() % (random() % 2 == 0 ? 3 : nodes_.size())];
    const size_t index = random() % 3 == 0 ? random() % 2 : random() % (kNodeBytes / 8);
    return reinterpret_cast<uint64_t*>(node) + index;
  }

  std::vector<Node*> nodes_;
};

uint64_t damaged(uint64_t word, std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return random();
    case 1:
      return word ^ uint64_t { 1 } << random() % 64;
    case 2:
      return BlockRef(UINT32_MAX - static_cast<uint32_t>(random() % 4), 0xfff).word();
    default:
      return 0;
  }
}

TEST_F(DamageTest, OfAWordOfANodeIsSurvivedByReaders) {
  std::mt19937_64 random(1);
  ASSERT_GE(table_.published()->tree_height, 3U);
  for (int round = 0; round < 150; ++round) {
    uint64_t* word = any_word(random);
    const uint64_t before = *word;
    *word = damaged(before, random);
    ASSERT_NO_FATAL_FAILURE(read_everything());
    *word = before;
  }
  expect_state(model_, snapshot());
}

TEST_F(DamageTest, OfAWordOfANodeIsSurvivedByANewOwner) {
  std::mt19937_64 random(2);
  int refused = 0;
  for (int round = 0; round < 100; ++round) {
    uint64_t* word = any_word(random);
    const uint64_t before = *word;
    *word = damaged(before, random);
    Table heir(region_);
    const Status status = heir.adopt();
    ASSERT_TRUE(is_an_answer(status));
    *word = before;
    if (status.is_ok()) continue;
    ++refused;
    // Refusing wrote nothing.
    ASSERT_TRUE(refused > 1 || heir.adopt().is_ok());
  }
  EXPECT_GT(refused, 30);
}

TEST_F(DamageTest, OfAReferenceIsFoundOutByFind) {
  const Snapshot state = snapshot();
  Node* root = nodes_[0];
  for (uint32_t i = 0; i <= root->count; ++i)
    root->children()[i] = BlockRef(UINT32_MAX, 128).word();
  EXPECT_EQ(state.find(as_bytes("some/key/1")).status().code(), Code::kCorruption);
  EXPECT_EQ(state.cursor().seek_last().code(), Code::kCorruption);
  begin();
  EXPECT_EQ(table_.put(put_view("some/key/1", "v", ++revision_)).code(), Code::kCorruption);
}

TEST_F(DamageTest, OfTheRootIsFoundOutByTake) {
  auto* root = const_cast<Root*>(table_.published());
  root->tree_height = kTreeHeightMax + 1;
  EXPECT_EQ(snapshot().find(as_bytes("some/key/1")).status().code(), Code::kCorruption);
  EXPECT_EQ(snapshot().cursor().seek_first().code(), Code::kCorruption);
  reinterpret_cast<RootBlock*>(root)->seal ^= 1;
  EXPECT_EQ(Snapshot::take(*pins_).status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace small_db

// What a primary's answer says before its body: the status, and the headers by which a node speaks
// of itself and of what it sends. What a header claims is checked here, once.
//
// Pure functions over the caller's memory. Threads of the storage process call them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/replication/upstream.h"

namespace small_db {

// The node's own headers.
namespace node_header {
inline constexpr const char* kCluster = "Small-Db-Cluster";
inline constexpr const char* kNode = "Small-Db-Node";
inline constexpr const char* kEpoch = "Small-Db-Epoch";
inline constexpr const char* kRole = "Small-Db-Role";
inline constexpr const char* kHistory = "Small-Db-History";
inline constexpr const char* kCommon = "Small-Db-Common";
inline constexpr const char* kGeneration = "Small-Db-Generation";
}  // namespace node_header

// Takes an answer's header lines as they come, those of interim answers too.
class UpstreamHeadParser {
 public:
  static constexpr size_t kBytesMax = 64 * 1024;  // of all lines, trailers too

  // A line with or without its end. False: the lines are more than kBytesMax. May throw
  // std::bad_alloc.
  bool add_line(std::string_view line);

  // REQUIRES: the answer's empty line has come. May throw std::bad_alloc.
  UpstreamHead take();

  // What makes the answer no node's, in words: a header that is malformed, given with two
  // values, or not there while others are; nullptr: nothing. Before take().
  const char* fault() const noexcept;
  // The same, other than that nothing speaks of a node.
  bool is_malformed() const noexcept { return fault() != nullptr && seen_ != 0; }
  int status() const noexcept { return head_.status; }
  // The first byte of the part that a 206 sends.
  std::optional<uint64_t> first_byte() const noexcept { return first_byte_; }

 private:
  enum Field : uint32_t {
    kCluster = 0,
    kNode,
    kEpoch,
    kRole,
    kHistory,
    kCommon,
    kGeneration,
    kNoField,
  };
  static Field field_of(std::string_view name) noexcept;
  void add_node_field(Field field, std::string_view value);
  bool set_node_field(Field field, std::string_view value);
  void add_content_range(std::string_view value) noexcept;
  void begin(std::string_view status_line);

  size_t bytes_ = 0;
  UpstreamHead head_;
  NodeIdentity node_;
  uint32_t seen_ = 0;  // a bit for each Field
  std::array<std::string, kNoField> values_;
  bool malformed_ = false;
  std::optional<uint64_t> content_length_;
  std::optional<uint64_t> first_byte_;
};

// What If-Range takes.
bool is_strong_entity_tag(std::string_view text) noexcept;

// Sets problem and detail from an answer's body, if that is application/problem+json. May throw
// std::bad_alloc.
void parse_problem(std::string_view body, UpstreamHead* head);

// What another machine has said, for a log: at most so many bytes, one line of printable ASCII. May
// throw std::bad_alloc.
std::string printable_text(std::string_view text, size_t bytes_max);

}  // namespace small_db

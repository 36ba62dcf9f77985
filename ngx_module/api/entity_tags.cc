#include "ngx_module/api/entity_tags.h"

#include <algorithm>
#include <charconv>

namespace small_db {
namespace {

bool is_tag_character(char character) noexcept {
  const auto byte = static_cast<uint8_t>(character);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

// Only the number as it is printed is the record's tag: "07" is another one than "7".
uint64_t revision_named(std::string_view opaque) noexcept {
  if (opaque.empty() || opaque.front() == '0') return 0;
  uint64_t revision = 0;
  const char* end = opaque.data() + opaque.size();
  const auto parsed = std::from_chars(opaque.data(), end, revision);
  return parsed.ec == std::errc() && parsed.ptr == end ? revision : 0;
}

// Reads the list from its start.
class TagReader {
 public:
  explicit TagReader(std::string_view text) noexcept : text_(text) {}

  size_t position() const noexcept { return at_; }
  bool is_at_end() const noexcept { return at_ == text_.size(); }

  void skip_white_space() noexcept {
    while (!is_at_end() && (text_[at_] == ' ' || text_[at_] == '\t')) at_++;
  }

  // Takes `expected` if it comes next.
  bool take(std::string_view expected) noexcept {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  // False: no tag stands here; the position is that of the first byte that does not fit.
  bool take_tag(EntityTag* tag) noexcept {
    tag->is_weak = take("W/");
    if (!take("\"")) return false;
    const size_t start = at_;
    while (!is_at_end() && is_tag_character(text_[at_])) at_++;
    const std::string_view opaque = text_.substr(start, at_ - start);
    tag->revision = revision_named(opaque);
    return take("\"");
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
};

Problem malformed(std::string_view name, size_t position) noexcept {
  return make_problem(ProblemKind::kInvalidHeader,
                      {"at byte ", position, " of ", name,
                       R"(: it must be * or a list of entity tags such as "17", "18")"});
}

}  // namespace

bool EntityTags::match_strongly(uint64_t revision) const noexcept {
  if (revision == 0) return false;
  return is_any || std::any_of(tags.begin(), tags.end(), [revision](const EntityTag& tag) {
           return !tag.is_weak && tag.revision == revision;
         });
}

bool EntityTags::match_weakly(uint64_t revision) const noexcept {
  if (revision == 0) return false;
  return is_any || std::any_of(tags.begin(), tags.end(), [revision](const EntityTag& tag) {
           return tag.revision == revision;
         });
}

bool EntityTags::has_weak() const noexcept {
  return std::any_of(tags.begin(), tags.end(), [](const EntityTag& tag) { return tag.is_weak; });
}

std::optional<Problem> parse_entity_tags(std::string_view name, std::string_view text,
                                         EntityTags* tags) {
  TagReader reader(text);
  reader.skip_white_space();
  if (reader.take("*")) {
    tags->is_any = true;
    reader.skip_white_space();
    if (reader.is_at_end()) return std::nullopt;
    return malformed(name, reader.position());
  }
  // Empty elements of a list mean nothing (RFC 9110 section 5.6.1).
  for (;;) {
    while (reader.take(",")) reader.skip_white_space();
    if (reader.is_at_end()) break;
    EntityTag tag;
    if (!reader.take_tag(&tag)) return malformed(name, reader.position());
    tags->tags.push_back(tag);
    reader.skip_white_space();
    if (!reader.is_at_end() && !reader.take(",")) return malformed(name, reader.position());
    reader.skip_white_space();
  }
  if (tags->tags.empty()) return malformed(name, reader.position());
  return std::nullopt;
}

}  // namespace small_db

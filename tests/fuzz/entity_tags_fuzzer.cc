// Lists of entity tags: what is taken matches exactly the revisions whose tags stand there, and
// says the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ngx_module/api/entity_tags.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  EntityTags tags;
  if (const auto problem = parse_entity_tags("If-Match", text, &tags)) {
    SMALL_DB_ASSERT(problem->status == 400 && !problem->detail.empty());
    return 0;
  }
  SMALL_DB_ASSERT(tags.is_any == tags.tags.empty());
  SMALL_DB_ASSERT(!tags.match_strongly(0) && !tags.match_weakly(0));
  std::string written = tags.is_any ? "*" : "";
  for (const EntityTag& tag : tags.tags) {
    const std::string quoted = '"' + std::to_string(tag.revision) + '"';
    if (tag.revision != 0) {
      SMALL_DB_ASSERT(tags.match_weakly(tag.revision));
      SMALL_DB_ASSERT(tag.is_weak || tags.match_strongly(tag.revision));
      SMALL_DB_ASSERT(text.find(quoted) != std::string_view::npos);
    }
    written += (tag.is_weak ? "W/" : "") + quoted + ",";
  }
  EntityTags same;
  SMALL_DB_ASSERT(!parse_entity_tags("If-Match", written, &same));
  SMALL_DB_ASSERT(same.is_any == tags.is_any && same.tags.size() == tags.tags.size());
  for (size_t i = 0; i < tags.tags.size(); i++) {
    SMALL_DB_ASSERT(same.tags[i].revision == tags.tags[i].revision);
    SMALL_DB_ASSERT(same.tags[i].is_weak == tags.tags[i].is_weak);
  }
  return 0;
}

// The commands that read a whole state and show it: dump, hash and stat.
#include <algorithm>
#include <map>
#include <vector>

#include "engine/tools/command.h"
#include "engine/tools/json_record.h"
#include "engine/tools/source.h"

namespace small_db::tools {

namespace {

constexpr size_t kPrefixesShown = 20;

struct Sum {
  uint64_t keys = 0;
  uint64_t bytes = 0;
};
using SumsByPrefix = std::map<std::string, Sum>;

struct FileSize {
  std::string name;
  uint64_t bytes = 0;
};

std::vector<FileSize> list_sizes(Directory& directory) {
  std::vector<FileSize> files;
  const Result<std::vector<std::string>> names = directory.list();
  if (!names.is_ok()) return files;
  for (const std::string& name : names.value()) {
    const auto file = directory.open(name, OpenMode::kRead);
    if (!file.is_ok()) continue;
    const Result<uint64_t> size = file.value()->size();
    if (size.is_ok()) files.push_back({name, size.value()});
  }
  return files;
}

// A key up to and with the first delimiter; all others together are "".
SumsByPrefix sum_by_prefix(const State& state, char delimiter) {
  SumsByPrefix sums;
  const Status status = state.for_each([&](const RecordView& record) {
    const std::string_view key = as_text(record.key);
    const size_t end = key.find(delimiter);
    Sum& sum = sums[std::string(end == std::string_view::npos ? "" : key.substr(0, end + 1))];
    ++sum.keys;
    sum.bytes += record.key.size() + record.value.size();
    return Status::ok();
  });
  if (!status.is_ok()) sums.clear();
  return sums;
}

std::string quoted(std::string_view text) {
  std::string to;
  append_json_string(as_bytes(text), to);
  return to;
}

std::string number(uint64_t value) { return std::to_string(value); }

std::string numbers(const std::vector<uint64_t>& values) {
  std::string text;
  for (const uint64_t value : values) text += (text.empty() ? "" : ",") + number(value);
  return text;
}

struct Statistics {
  std::vector<FileSize> files;
  DirectoryListing listing;
  bool running = false;
  bool read = false;  // the members below
  Recovered recovered;
  State::Totals totals;
  SumsByPrefix prefixes;
};

std::string as_json(const Statistics& it) {
  std::string text = "{\"files\":[";
  for (const FileSize& file : it.files) {
    text += text.back() == '[' ? "" : ",";
    text += "{\"name\":" + quoted(file.name) + ",\"bytes\":" + number(file.bytes) + "}";
  }
  text += "],\"running\":" + std::string(it.running ? "true" : "false");
  text += ",\"checkpoints\":[" + numbers(it.listing.checkpoints) + "],\"logs\":[" +
          numbers(it.listing.logs) + "]";
  if (it.read) {
    text += ",\"generation\":" + number(it.recovered.generation);
    text += ",\"revision\":" + number(it.recovered.last_revision);
    text += ",\"epoch\":" + number(it.recovered.epoch);
    text += ",\"keys\":" + number(it.totals.keys) + ",\"bytes\":" + number(it.totals.bytes);
    text += ",\"prefixes\":[";
    for (const auto& [prefix, sum] : it.prefixes) {
      text += text.back() == '[' ? "" : ",";
      text += "{\"prefix\":";
      if (!append_json_string(as_bytes(prefix), text)) text += ",\"prefix_encoding\":\"base64\"";
      text += ",\"keys\":" + number(sum.keys) + ",\"bytes\":" + number(sum.bytes) + "}";
    }
    text += "]";
  }
  return text + "}\n";
}

std::string as_table(const Statistics& it) {
  std::string text = "files:\n";
  for (const FileSize& file : it.files) {
    text += "  " + std::string(file.name) + "  " + number(file.bytes) + " bytes\n";
  }
  text += "checkpoints: " + numbers(it.listing.checkpoints) + "\n";
  text += "logs: " + numbers(it.listing.logs) + "\n";
  if (!it.read) return text;
  text += "generation: " + number(it.recovered.generation) + "\n";
  text += "revision: " + number(it.recovered.last_revision) + "\n";
  text += "epoch: " + number(it.recovered.epoch) + "\n";
  text += "keys: " + number(it.totals.keys) + "\n";
  text += "bytes of keys and values: " + number(it.totals.bytes) + "\n";
  text += "by prefix, largest first:\n";
  std::vector<std::pair<std::string, Sum>> sums(it.prefixes.begin(), it.prefixes.end());
  std::stable_sort(sums.begin(), sums.end(), [](const auto& left, const auto& right) {
    return left.second.bytes > right.second.bytes;
  });
  for (size_t i = 0; i < std::min(sums.size(), kPrefixesShown); ++i) {
    text += "  " + (sums[i].first.empty() ? "(no prefix)" : quoted(sums[i].first)) + "  " +
            number(sums[i].second.keys) + " keys, " + number(sums[i].second.bytes) + " bytes\n";
  }
  if (sums.size() > kPrefixesShown) {
    text += "  and " + number(sums.size() - kPrefixesShown) + " more: see --json\n";
  }
  return text;
}

}  // namespace

int run_dump(const Arguments& arguments, Console& console) {
  int code = kExitOk;
  const std::unique_ptr<Source> source = Source::open(arguments, console, &code);
  if (!source) return code;
  State state(source->data_bytes());
  Recovered recovered;
  code = read_state(*source, state, console, &recovered);
  if (code != kExitOk) return code;
  std::string line;
  uint64_t records = 0;
  const Status status = state.for_each([&](const RecordView& record) {
    line.clear();
    append_record_line(record, line);
    console.print(line);
    ++records;
    return Status::ok();
  });
  if (!status.is_ok()) {
    console.error("the state can't be walked: " + status.text());
    return kExitEnvironment;
  }
  console.note("dumped " + number(records) + " keys at revision " +
               number(recovered.last_revision));
  return kExitOk;
}

int run_hash(const Arguments& arguments, Console& console) {
  int code = kExitOk;
  const std::unique_ptr<Source> source = Source::open(arguments, console, &code);
  if (!source) return code;
  State state(source->data_bytes());
  Recovered recovered;
  code = read_state(*source, state, console, &recovered);
  if (code != kExitOk) return code;
  const Result<State::Totals> totals = state.totals();
  if (!totals.is_ok()) {
    console.error("the state can't be walked: " + totals.status().text());
    return kExitEnvironment;
  }
  const std::string& hash = totals.value().hash;
  const std::string revision = number(recovered.last_revision);
  const std::string keys = number(totals.value().keys);
  console.print(arguments.json ? "{\"hash\":\"" + hash + "\",\"revision\":" + revision +
                                     ",\"keys\":" + keys + "}\n"
                               : hash + "  revision " + revision + "  keys " + keys + "\n");
  return kExitOk;
}

int run_stat(const Arguments& arguments, Console& console) {
  int code = kExitOk;
  const std::unique_ptr<Source> source = Source::open(arguments, console, &code);
  if (!source) return code;
  Statistics statistics;
  statistics.running = source->running();
  statistics.files = list_sizes(source->directory());
  Result<DirectoryListing> listing = list_data_directory(source->directory());
  if (!listing.is_ok()) {
    console.error(arguments.directory + ": can't be listed: " + listing.status().text());
    return kExitEnvironment;
  }
  statistics.listing = std::move(listing).value();
  State state(source->data_bytes());
  code = read_state(*source, state, console, &statistics.recovered);
  if (code == kExitOk) {
    const Result<State::Totals> totals = state.totals();
    statistics.read = totals.is_ok();
    if (totals.is_ok()) statistics.totals = totals.value();
    statistics.prefixes = sum_by_prefix(state, arguments.delimiter);
  }
  console.print(arguments.json ? as_json(statistics) : as_table(statistics));
  return code;
}

}  // namespace small_db::tools

#include "engine/replication/history.h"

#include <algorithm>
#include <charconv>

#include "engine/base/crc32c.h"

namespace small_db {

namespace {

constexpr std::string_view kHistoryName = "history";
constexpr std::string_view kHistoryTemporaryName = "history.tmp";
constexpr std::string_view kNextHistoryPrefix = "history.";
constexpr std::string_view kTitleLine = "small-db history 1\n";
constexpr std::string_view kNodeWord = "node ";
constexpr std::string_view kTermWord = "term ";
constexpr std::string_view kHeardWord = "heard ";
constexpr std::string_view kFollowsLine = "follows\n";
constexpr std::string_view kSetAsideWord = "set-aside ";
constexpr std::string_view kCrcWord = "crc ";
constexpr size_t kCrcLineBytes = kCrcWord.size() + 8 + 1;
constexpr size_t kDecimalBytesMax = 20;  // of 2^64 - 1
constexpr size_t kTermLineBytesMax = kTermWord.size() + 2 * kDecimalBytesMax + 2 * sizeof(Uid) + 3;
constexpr char kLowerDigits[] = "0123456789abcdef";
constexpr char kUpperDigits[] = "0123456789ABCDEF";

// Whatever the name, there is room for hundreds of terms.
static_assert(kTitleLine.size() + kNodeWord.size() + 2 * sizeof(Uid) + 1 + kHeardWord.size() +
                  kDecimalBytesMax + 1 + kFollowsLine.size() + kSetAsideWord.size() +
                  3 * kSetAsideBytesMax + 1 + kCrcLineBytes + 500 * kTermLineBytesMax <=
              kHistoryBytesMax);

// The value of a digit as kLowerDigits or kUpperDigits has it; -1 for anything else.
int digit_value(char digit, std::string_view digits) noexcept {
  const size_t at = digits.find(digit);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::optional<uint64_t> parse_decimal(std::string_view digits) noexcept {
  uint64_t value = 0;
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// Takes `word` off the front of `text`, if it is there.
bool take_word(std::string_view* text, std::string_view word) noexcept {
  if (text->substr(0, word.size()) != word) return false;
  text->remove_prefix(word.size());
  return true;
}

// Takes what stands before `end` off the front of `text`, and `end` with it.
std::optional<std::string_view> take_until(std::string_view* text, char end) noexcept {
  const size_t bytes = text->find(end);
  if (bytes == std::string_view::npos) return std::nullopt;
  const std::string_view taken = text->substr(0, bytes);
  text->remove_prefix(bytes + 1);
  return taken;
}

std::string encode_term(const Term& term, char separator) {
  return std::to_string(term.epoch) + separator + encode_uid(term.id) + separator +
         std::to_string(term.after_revision);
}

std::optional<Term> parse_term(std::string_view text, char separator) {
  const std::optional<std::string_view> epoch_text = take_until(&text, separator);
  if (!epoch_text) return std::nullopt;
  const std::optional<std::string_view> id_text = take_until(&text, separator);
  if (!id_text) return std::nullopt;
  const std::optional<uint64_t> epoch = parse_decimal(*epoch_text);
  const std::optional<Uid> id = parse_uid(*id_text);
  const std::optional<uint64_t> after = parse_decimal(text);
  if (!epoch || !id || !after) return std::nullopt;
  return Term{*epoch, *id, *after};
}

bool are_terms(const std::vector<Term>& terms) noexcept {
  const Term* before = nullptr;
  for (const Term& term : terms) {
    if (term.epoch == 0 || term.id == Uid{}) return false;
    if (before != nullptr && term.epoch <= before->epoch) return false;
    if (before != nullptr && term.after_revision < before->after_revision) return false;
    before = &term;
  }
  return true;
}

bool stands_for_itself(char c) noexcept { return c > ' ' && c < '\x7f' && c != '%'; }

std::string encode_name(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (stands_for_itself(c)) {
      text += c;
    } else {
      text += '%';
      text += kUpperDigits[byte >> 4];
      text += kUpperDigits[byte & 15];
    }
  }
  return text;
}

std::optional<std::string> parse_name(std::string_view text) {
  std::string name;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '%') {
      if (text.size() - at < 3) return std::nullopt;
      const int high = digit_value(text[at + 1], kUpperDigits);
      const int low = digit_value(text[at + 2], kUpperDigits);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      if (stands_for_itself(c)) return std::nullopt;
      at += 2;
    } else if (!stands_for_itself(c)) {
      return std::nullopt;
    }
    name += c;
  }
  if (name.empty() || name.size() > kSetAsideBytesMax) return std::nullopt;
  return name;
}

std::string crc_line(std::string_view text) {
  std::string line(kCrcWord);
  const uint32_t crc = crc32c(as_bytes(text));
  for (int shift = 28; shift >= 0; shift -= 4) line += kLowerDigits[crc >> shift & 15];
  return line + '\n';
}

// The lines between the node's and the crc's, all of `text`.
bool parse_lines(std::string_view text, NodeHistory* history) {
  while (take_word(&text, kTermWord)) {
    const std::optional<std::string_view> line = take_until(&text, '\n');
    const std::optional<Term> term = line ? parse_term(*line, ' ') : std::nullopt;
    if (!term || history->terms.size() == kHistoryTermsMax) return false;
    history->terms.push_back(*term);
  }
  if (!are_terms(history->terms)) return false;
  if (take_word(&text, kHeardWord)) {
    const std::optional<std::string_view> line = take_until(&text, '\n');
    const std::optional<uint64_t> epoch = line ? parse_decimal(*line) : std::nullopt;
    if (!epoch || *epoch == 0) return false;
    history->heard_epoch = *epoch;
  }
  history->follows = take_word(&text, kFollowsLine);
  if (take_word(&text, kSetAsideWord)) {
    const std::optional<std::string_view> line = take_until(&text, '\n');
    std::optional<std::string> name = line ? parse_name(*line) : std::nullopt;
    if (!name) return false;
    history->set_aside = std::move(*name);
  }
  return text.empty();
}

std::string history_name_of(uint64_t generation) {
  return std::string(kNextHistoryPrefix) + std::to_string(generation);
}

// The names of all history.N.
Result<std::vector<std::string>> next_histories(Directory& directory) {
  Result<std::vector<std::string>> names = directory.list();
  if (!names.is_ok()) return names;
  std::erase_if(names.value(), [](const std::string& name) {
    return name.rfind(kNextHistoryPrefix, 0) != 0 || name == kHistoryTemporaryName;
  });
  return names;
}

Status write_as(Directory& directory, const NodeHistory& history, std::string_view name) {
  const Result<std::string> text = encode_history(history);
  if (!text.is_ok()) return text.status();
  Result<std::unique_ptr<File>> file = directory.open(kHistoryTemporaryName, OpenMode::kCreate);
  if (!file.is_ok()) return file.status();
  SMALL_DB_RETURN_IF_ERROR(file.value()->write_at(0, as_bytes(text.value())));
  SMALL_DB_RETURN_IF_ERROR(file.value()->sync_data());
  SMALL_DB_RETURN_IF_ERROR(directory.rename(kHistoryTemporaryName, name));
  return directory.sync();
}

}  // namespace

const Term* term_of(const std::vector<Term>& terms, uint64_t revision) noexcept {
  // The newest that begins below the revision: one behind which nothing was written has none.
  const auto later = std::partition_point(
      terms.begin(), terms.end(), [&](const Term& term) { return term.after_revision < revision; });
  return later == terms.begin() ? nullptr : &*(later - 1);
}

const Term* NodeHistory::term_of(uint64_t revision) const noexcept {
  return small_db::term_of(terms, revision);
}

std::string encode_uid(const Uid& uid) {
  std::string text;
  for (const std::byte byte : uid) {
    text += kLowerDigits[std::to_integer<uint8_t>(byte) >> 4];
    text += kLowerDigits[std::to_integer<uint8_t>(byte) & 15];
  }
  return text;
}

std::optional<Uid> parse_uid(std::string_view text) {
  Uid uid;
  if (text.size() != 2 * uid.size()) return std::nullopt;
  for (size_t at = 0; at < uid.size(); ++at) {
    const int high = digit_value(text[2 * at], kLowerDigits);
    const int low = digit_value(text[2 * at + 1], kLowerDigits);
    if (high < 0 || low < 0) return std::nullopt;
    uid[at] = static_cast<std::byte>(high << 4 | low);
  }
  return uid;
}

std::string encode_terms(const std::vector<Term>& terms, size_t max) {
  std::string text;
  for (size_t at = terms.size() - std::min(terms.size(), max); at < terms.size(); ++at) {
    if (!text.empty()) text += ',';
    text += encode_term(terms[at], ':');
  }
  return text;
}

std::optional<std::vector<Term>> parse_terms(std::string_view text) {
  std::vector<Term> terms;
  bool more = !text.empty();
  while (more) {
    const size_t bytes = text.find(',');
    const std::optional<Term> term = parse_term(text.substr(0, bytes), ':');
    if (!term || terms.size() == kHistoryTermsMax) return std::nullopt;
    terms.push_back(*term);
    more = bytes != std::string_view::npos;
    if (more) text.remove_prefix(bytes + 1);
  }
  if (!are_terms(terms)) return std::nullopt;
  return terms;
}

Result<std::string> encode_history(const NodeHistory& history) {
  if (!are_terms(history.terms)) return Status(Code::kInvalidArgument, "history: terms");
  if (history.set_aside.size() > kSetAsideBytesMax) {
    return Status(Code::kInvalidArgument, "history: set-aside");
  }
  std::string text(kTitleLine);
  text.append(kNodeWord).append(encode_uid(history.node_id)) += '\n';
  std::string behind;
  if (history.heard_epoch != 0) {
    behind.append(kHeardWord).append(std::to_string(history.heard_epoch)) += '\n';
  }
  if (history.follows) behind.append(kFollowsLine);
  if (!history.set_aside.empty()) {
    behind.append(kSetAsideWord).append(encode_name(history.set_aside)) += '\n';
  }
  std::vector<std::string> lines;  // the newest first
  size_t room = kHistoryBytesMax - text.size() - behind.size() - kCrcLineBytes;
  for (size_t at = history.terms.size(); at > 0 && lines.size() < kHistoryTermsMax; --at) {
    std::string line(kTermWord);
    line.append(encode_term(history.terms[at - 1], ' ')) += '\n';
    if (line.size() > room) break;
    room -= line.size();
    lines.push_back(std::move(line));
  }
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) text += *line;
  text += behind;
  return text + crc_line(text);
}

std::optional<NodeHistory> parse_history(std::string_view text) {
  if (text.size() > kHistoryBytesMax || text.size() < kCrcLineBytes) return std::nullopt;
  const std::string_view last_line = text.substr(text.size() - kCrcLineBytes);
  text.remove_suffix(kCrcLineBytes);
  if (last_line != crc_line(text) || !take_word(&text, kTitleLine)) return std::nullopt;
  if (!take_word(&text, kNodeWord)) return std::nullopt;
  const std::optional<std::string_view> node = take_until(&text, '\n');
  const std::optional<Uid> node_id = node ? parse_uid(*node) : std::nullopt;
  if (!node_id) return std::nullopt;
  NodeHistory history;
  history.node_id = *node_id;
  if (!parse_lines(text, &history)) return std::nullopt;
  return history;
}

Result<NodeHistory> read_history(Directory& directory) {
  const Result<std::string> text = read_file(directory, kHistoryName, kHistoryBytesMax);
  if (!text.is_ok()) {
    if (text.status().code() != Code::kTooLarge) return text.status();
    return Status(Code::kCorruption, "history: too long");
  }
  std::optional<NodeHistory> history = parse_history(text.value());
  if (!history) return Status(Code::kCorruption, "history: text");
  return std::move(*history);
}

Status write_history(Directory& directory, const NodeHistory& history) {
  return write_as(directory, history, kHistoryName);
}

Status write_history_of(Directory& directory, const NodeHistory& history, uint64_t generation) {
  return write_as(directory, history, history_name_of(generation));
}

Result<bool> has_next_history(Directory& directory) {
  const Result<std::vector<std::string>> names = next_histories(directory);
  if (!names.is_ok()) return names.status();
  return !names.value().empty();
}

Status settle_history(Directory& directory, uint64_t generation) {
  const Result<std::vector<std::string>> names = next_histories(directory);
  if (!names.is_ok()) return names.status();
  const std::string in_force = history_name_of(generation);
  for (const std::string& name : names.value()) {
    SMALL_DB_RETURN_IF_ERROR(name == in_force ? directory.rename(name, kHistoryName)
                                              : directory.remove(name));
  }
  return directory.sync();
}

}  // namespace small_db

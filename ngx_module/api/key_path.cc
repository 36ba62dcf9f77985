#include "ngx_module/api/key_path.h"

#include <exception>
#include <utility>

namespace small_db {
namespace {

int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lower = static_cast<char>(digit | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// One byte of percent-encoded text, and how much of the text stands for it; taken is 0 where the
// encoding is invalid.
struct DecodedByte {
  char byte = 0;
  size_t taken = 0;
};

DecodedByte decode_byte(std::string_view text) noexcept {
  if (text[0] != '%') return {text[0], 1};
  if (text.size() < 3) return {};
  const int high = hex_value(text[1]);
  const int low = hex_value(text[2]);
  if (high < 0 || low < 0) return {};
  return {static_cast<char>(high << 4 | low), 3};
}

constexpr std::string_view kTwoDigits = "a % needs two hexadecimal digits after it";

std::string_view without_slash(std::string_view mount) noexcept {
  if (!mount.empty() && mount.back() == '/') mount.remove_suffix(1);
  return mount;
}

Problem ambiguous(std::string_view mount, size_t position, std::string_view cause) noexcept {
  return make_problem(ProblemKind::kAmbiguousPath,
                      {"at byte ", position, " of the path: ", cause, "; name the key as ",
                       QuotedInput(without_slash(mount)).text(), "/kv?key=PERCENT-ENCODED-KEY"});
}

// The raw path must decode to the very bytes by which nginx chose the location.
std::optional<Problem> check_raw_path(const RequestTarget& request) noexcept {
  const size_t fragment = request.raw.find('#');
  if (fragment != std::string_view::npos) {
    return ambiguous(request.mount, fragment, "a '#' must be written as %23");
  }
  std::string_view path = request.raw.substr(0, request.raw.find('?'));
  if (path.empty()) path = "/";
  std::string_view expected = request.normalised;
  constexpr std::string_view kCause = "it has segments that are resolved away (//, /./ or /../)";
  for (size_t at = 0; at < path.size();) {
    const DecodedByte decoded = decode_byte(path.substr(at));
    if (decoded.taken == 0) {
      return make_problem(ProblemKind::kInvalidPath,
                          {"at byte ", at, " of the path: ", kTwoDigits});
    }
    if (expected.empty() || decoded.byte != expected.front()) {
      return ambiguous(request.mount, at, kCause);
    }
    expected.remove_prefix(1);
    at += decoded.taken;
  }
  if (!expected.empty()) return ambiguous(request.mount, path.size(), kCause);
  return std::nullopt;
}

// True when nginx changed the bytes of a path before any rewrite saw it, or might take the path's
// end for parameters after it: what the client meant can't be told any more.
bool is_changed_by_nginx(std::string_view raw) {
  std::string path;
  for (size_t at = 0; at < raw.size() && raw[at] != '?';) {
    const DecodedByte decoded = decode_byte(raw.substr(at));
    if (decoded.taken == 0 || decoded.byte == '?' || raw[at] == '#') return true;
    path.push_back(decoded.byte);
    at += decoded.taken;
  }
  if (path.find("//") != std::string::npos) return true;
  path.push_back('/');
  return path.find("/./") != std::string::npos || path.find("/../") != std::string::npos;
}

// What follows the mount point, without a slash before it; nothing when the path lies elsewhere.
std::optional<std::string_view> below_mount(const RequestTarget& request) noexcept {
  const std::string_view mount = without_slash(request.mount);
  std::string_view path = request.normalised;
  if (path.substr(0, mount.size()) != mount) return std::nullopt;
  path.remove_prefix(mount.size());
  if (path.empty() || path.front() != '/') return std::nullopt;
  return path.substr(1);
}

struct Query {
  bool has_key = false;
  std::string key;
};

std::optional<Problem> parse_parameter(std::string_view parameter, bool takes_key, Query* query) {
  const size_t equals = parameter.find('=');
  const std::string_view name = parameter.substr(0, equals);
  if (!takes_key || name != "key") {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"unknown parameter '", QuotedInput(name).text(), "'"});
  }
  if (query->has_key) {
    return make_problem(ProblemKind::kInvalidQuery, {"the parameter 'key' is given twice"});
  }
  query->has_key = true;
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view text = parameter.substr(equals + 1);
  for (size_t at = 0; at < text.size();) {
    const DecodedByte decoded = decode_byte(text.substr(at));
    if (decoded.taken == 0) {
      return make_problem(ProblemKind::kInvalidQuery,
                          {"at byte ", at, " of the parameter 'key': ", kTwoDigits});
    }
    query->key.push_back(decoded.byte);
    at += decoded.taken;
  }
  return std::nullopt;
}

std::optional<Problem> parse_query(std::string_view args, bool takes_key, Query* query) {
  if (args.empty()) return std::nullopt;
  for (;;) {
    const size_t end = args.find('&');
    if (auto problem = parse_parameter(args.substr(0, end), takes_key, query)) return problem;
    if (end == std::string_view::npos) return std::nullopt;
    args.remove_prefix(end + 1);
  }
}

std::optional<Problem> check_key(const RequestTarget& request, std::string_view key) noexcept {
  if (key.empty()) return make_problem(ProblemKind::kInvalidKey, {"the key is empty"});
  if (key.size() > request.key_bytes_max) {
    return too_large("the key", key.size(), "max_key_size", request.key_bytes_max);
  }
  return std::nullopt;
}

std::optional<Problem> parse_item(const RequestTarget& request, std::string_view rest,
                                  Target* target) {
  constexpr std::string_view kCollection = "kv";
  const bool in_query = rest == kCollection;
  Query query;
  if (auto problem = parse_query(request.args, in_query, &query)) return problem;
  if (in_query && !query.has_key) {
    const QuotedInput mount(without_slash(request.mount));
    return make_problem(ProblemKind::kInvalidKey, {"no key: name it as ", mount.text(),
                                                   "/kv/KEY or ", mount.text(), "/kv?key=KEY"});
  }
  if (!in_query && is_changed_by_nginx(request.rewritten_from)) {
    return make_problem(
        ProblemKind::kAmbiguousPath,
        {"nginx rewrote the path, and before that it had resolved //, /./ or /../, cut "
         "a fragment or decoded %3F: bytes of the key may be lost; name it as ",
         QuotedInput(without_slash(request.mount)).text(), "/kv?key=PERCENT-ENCODED-KEY"});
  }
  const std::string_view key = in_query ? query.key : rest.substr(kCollection.size() + 1);
  if (auto problem = check_key(request, key)) return problem;
  target->route = Route::kItem;
  target->key.assign(key);
  return std::nullopt;
}

std::optional<Problem> parse(const RequestTarget& request, Target* target) {
  if (!request.raw.empty()) {
    if (auto problem = check_raw_path(request)) return problem;
  }
  const std::optional<std::string_view> rest = below_mount(request);
  if (rest && (*rest == "kv" || rest->substr(0, 3) == "kv/")) {
    return parse_item(request, *rest, target);
  }
  constexpr std::pair<std::string_view, Route> kRoutes[] = {{"health", Route::kHealth},
                                                            {"checkpoint", Route::kCheckpoint},
                                                            {"role", Route::kRole},
                                                            {"status", Route::kStatus}};
  for (const auto& [name, route] : kRoutes) {
    if (!rest || *rest != name) continue;
    target->route = route;
    target->key.clear();
    Query none;
    return parse_query(request.args, false, &none);
  }
  return make_problem(ProblemKind::kUnknownPath,
                      {"there are kv, health, role, status and checkpoint under ",
                       QuotedInput(request.mount).text()});
}

}  // namespace

std::optional<Problem> parse_target(const RequestTarget& request, Target* target) noexcept {
  try {
    return parse(request, target);
  } catch (const std::exception&) {
    return make_problem(ProblemKind::kOverloaded, {"the process is out of memory"});
  }
}

const char* allowed_methods(Route route) noexcept {
  switch (route) {
    case Route::kItem:
      return "GET, HEAD, PUT, DELETE, OPTIONS";
    case Route::kCheckpoint:
      return "POST, OPTIONS";
    case Route::kHealth:
    case Route::kRole:
    case Route::kStatus:
      break;
  }
  return "GET, HEAD, OPTIONS";
}

}  // namespace small_db

#include "ngx_module/api/key_path.h"

#include <exception>

#include "ngx_module/api/percent.h"

namespace small_db {
namespace {

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
  std::string_view path = request.raw.substr(0, request.raw.find('?'));
  const size_t fragment = request.raw.find('#');
  if (fragment != std::string_view::npos) {
    return ambiguous(request.mount, fragment, "a '#' must be written as %23");
  }
  // What almost every request is: nothing to decode, and nothing was resolved.
  if (path == request.normalised && path.find('%') == std::string_view::npos) return std::nullopt;
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
  if (raw.empty()) return false;
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

std::optional<Problem> check_key(const RequestTarget& request, std::string_view key) noexcept {
  if (key.empty()) return make_problem(ProblemKind::kInvalidKey, {"the key is empty"});
  if (key.size() > request.key_bytes_max) {
    return too_large("the key", key.size(), "max_key_size", request.key_bytes_max);
  }
  return std::nullopt;
}

// What a request of this method may say. A method that the route does not take is refused by the
// caller, whatever its parameters are.
std::optional<Problem> check_query(Method method, const Target& target, bool is_named_by_path) {
  if (target.query.is_empty() || !takes_method(target.route, method)) return std::nullopt;
  const Parameters known = parameters_of(target.route, method);
  return target.query.check(is_named_by_path ? known.without(Parameter::kKey) : known);
}

// MOUNT/kv, with the key as a parameter or without any.
std::optional<Problem> parse_collection(const RequestTarget& request, Target* target) {
  const bool is_item = target->query.has(Parameter::kKey);
  target->route = is_item ? Route::kItem : Route::kCollection;
  if (auto problem = check_query(request.method, *target, false)) return problem;
  if (!is_item) return std::nullopt;
  const std::string_view key = target->query.text(Parameter::kKey);
  if (auto problem = check_key(request, key)) return problem;
  target->key = key;
  return std::nullopt;
}

// MOUNT/kv/KEY.
std::optional<Problem> parse_item(const RequestTarget& request, std::string_view key,
                                  Target* target) {
  target->route = Route::kItem;
  if (auto problem = check_query(request.method, *target, true)) return problem;
  if (is_changed_by_nginx(request.rewritten_from)) {
    return make_problem(
        ProblemKind::kAmbiguousPath,
        {"nginx rewrote the path, and before that it had resolved //, /./ or /../, cut "
         "a fragment or decoded %3F: bytes of the key may be lost; name it as ",
         QuotedInput(without_slash(request.mount)).text(), "/kv?key=PERCENT-ENCODED-KEY"});
  }
  if (auto problem = check_key(request, key)) return problem;
  target->key = key;
  return std::nullopt;
}

std::optional<Problem> parse(const RequestTarget& request, Target* target) {
  if (!request.raw.empty()) {
    if (auto problem = check_raw_path(request)) return problem;
  }
  constexpr std::string_view kItems = "kv/";
  const std::string_view rest = below_mount(request).value_or(std::string_view());
  const bool is_item = rest.substr(0, kItems.size()) == kItems;
  const std::optional<Route> named = is_item ? std::nullopt : route_named(rest);
  if (!is_item && !named && rest != "kv") {
    return make_problem(ProblemKind::kUnknownPath, {"there are ", route_names(), " under ",
                                                    QuotedInput(request.mount).text()});
  }
  target->key = {};
  target->query = Query();
  if (auto problem = parse_query(request.args, &target->query)) return problem;
  if (is_item) return parse_item(request, rest.substr(kItems.size()), target);
  if (!named) return parse_collection(request, target);
  target->route = *named;
  return check_query(request.method, *target, false);
}

}  // namespace

std::optional<Problem> parse_target(const RequestTarget& request, Target* target) noexcept {
  try {
    return parse(request, target);
  } catch (const std::exception&) {
    return make_problem(ProblemKind::kOverloaded, {"the process is out of memory"});
  }
}

}  // namespace small_db

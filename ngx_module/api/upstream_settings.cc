#include "ngx_module/api/upstream_settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "ngx_module/api/header_text.h"
#include "ngx_module/api/percent.h"

namespace small_db {
namespace {

constexpr size_t kUrlBytesMax = 2048;
constexpr size_t kHostBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;

constexpr const char* kWholeUrl = "http:// or https://, then [USER:PASSWORD@]HOST[:PORT]/PATH/";
constexpr const char* kHost = "a URL whose host is a name, an IPv4 address, or an IPv6 one in []";
constexpr const char* kPort = "a URL whose port is a number between 1 and 65535";
constexpr const char* kPath = "a URL whose path ends with \"/\", percent-encoded, without . and ..";
constexpr const char* kNoQuery = "a URL without \"?\" and \"#\"";
constexpr const char* kUser = "a URL whose user and password are percent-encoded";

char lower(char letter) noexcept {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
}

bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }

bool is_letter(char character) noexcept {
  return lower(character) >= 'a' && lower(character) <= 'z';
}

// Characters of RFC 3986 that stand for themselves in a path.
bool is_path_character(char character) noexcept {
  return is_letter(character) || is_digit(character) ||
         std::string_view("-._~!$&'()*+,;=:@/%").find(character) != std::string_view::npos;
}

// Nothing where the encoding is invalid, or where what stands for a control character is in it: no
// header and no message is to hold one.
std::optional<std::string> decode(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    const DecodedByte next = decode_byte(text);
    const auto byte = static_cast<uint8_t>(next.byte);
    if (next.taken == 0 || byte < 0x20 || byte == 0x7f) return std::nullopt;
    decoded += next.byte;
    text.remove_prefix(next.taken);
  }
  return decoded;
}

bool is_label(std::string_view label) noexcept {
  return !label.empty() && label.size() <= kLabelBytesMax &&
         std::all_of(label.begin(), label.end(), [](char character) {
           return is_letter(character) || is_digit(character) || character == '-' ||
                  character == '_';
         });
}

bool is_name(std::string_view host) noexcept {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > kHostBytesMax) return false;
  for (;;) {
    const size_t dot = host.find('.');
    if (!is_label(host.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

// A name whose last label is a number, such as 10.0.1 or 0x7f.1, is an address to some resolvers
// and not to others.
bool is_numeric(std::string_view host) noexcept {
  if (host.ends_with('.')) host.remove_suffix(1);
  const size_t dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  return !last.empty() && is_digit(last.front()) &&
         (std::all_of(last.begin(), last.end(), is_digit) || last.starts_with("0x") ||
          last.starts_with("0X"));
}

// family: AF_INET or AF_INET6.
bool is_address(std::string_view text, int family) {
  in6_addr address;
  // inet_pton reads up to a NUL.
  return text.find('\0') == std::string_view::npos &&
         inet_pton(family, std::string(text).c_str(), &address) == 1;
}

bool is_host(std::string_view host) {
  if (!host.starts_with('[')) {
    return is_address(host, AF_INET) || (is_name(host) && !is_numeric(host));
  }
  return host.size() > 2 && host.ends_with(']') &&
         is_address(host.substr(1, host.size() - 2), AF_INET6);
}

// A path that no server changes, so that what is appended to it goes below it.
bool is_mount(std::string_view path) noexcept {
  if (!path.starts_with('/') || !path.ends_with('/')) return false;
  if (!std::all_of(path.begin(), path.end(), is_path_character)) return false;
  std::string segment;
  while (!path.empty()) {
    const DecodedByte next = decode_byte(path);
    if (next.taken == 0 || static_cast<uint8_t>(next.byte) < 0x20) return false;
    if (next.byte != '/') {
      segment += next.byte;
    } else {
      if (segment == "." || segment == "..") return false;
      segment.clear();
    }
    path.remove_prefix(next.taken);
  }
  return true;
}

struct Split {
  std::string_view scheme;
  std::string_view login;  // USER:PASSWORD
  bool has_login = false;
  std::string_view host;
  std::string_view port;
  std::string_view path;
};

const char* split_authority(std::string_view authority, Split* split) noexcept {
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return kHost;
  const size_t colon = authority.find(':', bracket);
  split->host = authority.substr(0, colon);
  if (colon == std::string_view::npos) return nullptr;
  split->port = authority.substr(colon + 1);
  return split->port.empty() ? kPort : nullptr;
}

const char* split_url(std::string_view url, Split* split) noexcept {
  const size_t colon = url.find("://");
  if (url.size() > kUrlBytesMax || colon == std::string_view::npos) return kWholeUrl;
  split->scheme = url.substr(0, colon);
  url.remove_prefix(colon + 3);
  if (url.find_first_of("?#") != std::string_view::npos) return kNoQuery;
  const size_t slash = url.find('/');
  if (slash == std::string_view::npos) return kPath;
  std::string_view authority = url.substr(0, slash);
  split->path = url.substr(slash);
  // RFC 3986 has no @ in a host, and none that is not encoded in a login.
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    split->has_login = true;
    split->login = authority.substr(0, at);
    if (split->login.find('@') != std::string_view::npos) return kUser;
    authority.remove_prefix(at + 1);
  }
  return split_authority(authority, split);
}

const char* parse_login(const Split& split, UpstreamSettings* settings) {
  if (!split.has_login) return nullptr;
  const size_t colon = split.login.find(':');
  const auto user = decode(split.login.substr(0, colon));
  const auto password = colon == std::string_view::npos ? std::optional<std::string>(std::in_place)
                                                        : decode(split.login.substr(colon + 1));
  // Basic authentication (RFC 7617) tells the user from the password by the first colon.
  if (!user || !password || user->empty() || user->find(':') != std::string::npos) return kUser;
  settings->user = *user;
  settings->password = *password;
  return nullptr;
}

const char* check_port(const Split& split) noexcept {
  if (split.port.empty()) return nullptr;
  uint32_t port = 0;
  const char* end = split.port.data() + split.port.size();
  const auto [stop, error] = std::from_chars(split.port.data(), end, port);
  const bool is_plain = split.port.front() != '0' && split.port.size() <= 5;
  return error == std::errc() && stop == end && is_plain && port <= 65535 ? nullptr : kPort;
}

}  // namespace

const char* parse_upstream_url(std::string_view url, UpstreamSettings* settings) {
  Split split;
  if (const char* must = split_url(url, &split)) return must;
  const bool https = equals_ignoring_case(split.scheme, "https");
  if (!https && !equals_ignoring_case(split.scheme, "http")) return kWholeUrl;
  if (!is_host(split.host)) return kHost;
  if (const char* must = check_port(split)) return must;
  if (!is_mount(split.path)) return kPath;
  UpstreamSettings parsed = *settings;
  parsed.user.clear();
  parsed.password.clear();
  if (const char* must = parse_login(split, &parsed)) return must;

  parsed.name = https ? "https://" : "http://";
  std::transform(split.host.begin(), split.host.end(), std::back_inserter(parsed.name), lower);
  if (!split.port.empty() && split.port != (https ? "443" : "80")) {
    parsed.name.append(":").append(split.port);
  }
  parsed.name.append(split.path);
  *settings = std::move(parsed);
  return nullptr;
}

}  // namespace small_db

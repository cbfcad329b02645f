// SPDX-License-Identifier: Apache-2.0
//
// The defaults are those of Ollama, whose clients come here unchanged.
#include "net/server/access.h"

#include <algorithm>
#include <array>
#include <unistd.h>

#include "net/ip_address.h"

namespace omg {
namespace {

constexpr std::array<std::string_view, 13> kOrigins = {
    "http://localhost", "https://localhost", "http://127.0.0.1", "https://127.0.0.1",
    "http://0.0.0.0",   "https://0.0.0.0",   "http://[::1]",     "https://[::1]",
    "app://*",          "file://*",          "tauri://*",        "vscode-webview://*",
    "vscode-file://*",
};
constexpr std::array<std::string_view, 3> kHostEndings = {".localhost", ".local", ".internal"};

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return result;
}

/// One '*' in `pattern` stands for any text.
bool fits_pattern(std::string_view text, std::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return text == pattern;
  const std::string_view end = pattern.substr(star + 1);
  return text.size() >= star + end.size() && text.starts_with(pattern.substr(0, star)) &&
         text.ends_with(end);
}

std::string_view without_port(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return host;
  return bracket != std::string_view::npos && colon < bracket ? host : host.substr(0, colon);
}

}  // namespace

AccessCheck::AccessCheck(const HttpAccessRules& rules) {
  for (const std::string& host : rules.hosts) hosts_.push_back(lower_case(host));
  for (const std::string& origin : rules.origins) origins_.push_back(lower_case(origin));
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) == 0) own_name_ = lower_case(name);
}

bool AccessCheck::allows_host(std::string_view host) const {
  std::string name = lower_case(without_port(host));
  if (name.ends_with('.')) name.pop_back();
  if (name == "localhost" || (!own_name_.empty() && name == own_name_)) return true;
  if (is_public_address(name).has_value()) return true;  // an address, of whatever kind
  const auto ends_name = [&](std::string_view ending) { return name.ends_with(ending); };
  if (std::any_of(kHostEndings.begin(), kHostEndings.end(), ends_name)) return true;
  return std::any_of(hosts_.begin(), hosts_.end(),
                     [&](const std::string& allowed) { return fits_pattern(name, allowed); });
}

bool AccessCheck::allows_origin(std::string_view origin, std::string_view host) const {
  const std::string text = lower_case(origin);
  const std::string own = lower_case(host);
  if (!own.empty() && allows_host(host) && (text == "http://" + own || text == "https://" + own))
    return true;
  const auto allows = [&](std::string_view allowed) {
    if (fits_pattern(text, allowed)) return true;
    // The local ones have any port.
    const std::string_view rest =
        std::string_view(text).substr(std::min(allowed.size(), text.size()));
    return allowed.starts_with("http") && text.starts_with(allowed) && rest.starts_with(':') &&
           rest.size() > 1 && rest.find_first_not_of("0123456789", 1) == std::string_view::npos;
  };
  return std::any_of(kOrigins.begin(), kOrigins.end(), allows) ||
         std::any_of(origins_.begin(), origins_.end(),
                     [&](const std::string& allowed) { return fits_pattern(text, allowed); });
}

std::string AccessCheck::cors_lines(std::string_view origin) {
  if (origin.empty()) return "";
  return "Access-Control-Allow-Origin: " + std::string(origin) + "\r\nVary: Origin\r\n";
}

std::vector<HttpHeaders::Field> AccessCheck::preflight_headers(const HttpHeaders& request) {
  // Whatever headers are asked for: who may ask at all is decided by the origin, and handlers
  // trust no header for having come.
  const auto wanted = request.find("Access-Control-Request-Headers");
  std::vector<HttpHeaders::Field> headers = {
      {"Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"},
      {"Access-Control-Max-Age", "43200"}};
  if (wanted && !wanted->empty()) {
    headers.push_back({"Access-Control-Allow-Headers", std::string(*wanted)});
  }
  return headers;
}

}  // namespace omg

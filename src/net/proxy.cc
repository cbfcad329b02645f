// SPDX-License-Identifier: Apache-2.0
//
// Proxies as the environment names them. Read here and not by libcurl, because the check of
// addresses has to know whether it sees the server's or the proxy's.
#include <cstdlib>
#include <initializer_list>

#include "net/http_client.h"
#include "net/ip_address.h"

namespace omg {
namespace {

std::string first_variable(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

/// One entry of NO_PROXY: "*", a block, or a name (with or without a leading dot) that stands for
/// itself and what lies under it, and may end in ":port".
bool excludes(std::string_view entry, const std::string& host, uint16_t port) {
  if (entry == "*" || lies_in_block(host, entry)) return true;
  std::string name = lower(entry);
  const std::string ending = ":" + std::to_string(port);
  if (name.size() > ending.size() && name.ends_with(ending) && !is_public_address(entry)) {
    name.resize(name.size() - ending.size());
  }
  if (name.starts_with("*.")) name.erase(0, 1);
  if (name.starts_with('.')) name.erase(0, 1);
  if (name.empty()) return false;
  const std::string bare = host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
  return host == name || bare == name || host.ends_with("." + name);
}

}  // namespace

ProxySettings ProxySettings::from_environment() {
  ProxySettings settings;
  settings.http = first_variable({"http_proxy"});
  settings.https = first_variable({"https_proxy", "HTTPS_PROXY"});
  settings.all = first_variable({"all_proxy", "ALL_PROXY"});
  settings.no_proxy = first_variable({"no_proxy", "NO_PROXY"});
  return settings;
}

std::string ProxySettings::proxy_for(std::string_view scheme, std::string_view host,
                                     uint16_t port) const {
  const std::string& own = scheme == "https" ? https : http;
  const std::string& proxy = own.empty() ? all : own;
  if (proxy.empty()) return "";
  const std::string name = lower(host);
  std::string_view rest = no_proxy;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (excludes(trim(rest.substr(0, comma)), name, port)) return "";
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  return proxy;
}

HttpClientOptions HttpClientOptions::from_environment() {
  HttpClientOptions options;
  options.proxy = ProxySettings::from_environment();
  options.ca_file = first_variable({"OMG_CA_FILE", "SSL_CERT_FILE"});
  return options;
}

}  // namespace omg

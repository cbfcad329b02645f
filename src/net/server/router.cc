// SPDX-License-Identifier: Apache-2.0
//
// A list of patterns, tried one by one: there are a few dozen, and a request does far more than
// that.
#include "net/server/router.h"

#include <algorithm>

namespace omg {
namespace {

std::vector<std::string> split_pattern(std::string_view pattern) {
  std::vector<std::string> parts;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // the slash
    const size_t end = std::min(pattern.find('/'), pattern.size());
    parts.emplace_back(pattern.substr(0, end));
    pattern.remove_prefix(end);
  }
  return parts;
}

/// 2 for literal parts, 1 for ":name", 0 for "*name".
int rank(const std::string& part) {
  if (part.starts_with('*')) return 0;
  return part.starts_with(':') ? 1 : 2;
}

/// Whether `a` is to be preferred to `b`, where both fit a path.
bool more_exact(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (rank(a[i]) != rank(b[i])) return rank(a[i]) > rank(b[i]);
  }
  return false;
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& parts) {
  const bool takes_rest = !pattern.empty() && rank(pattern.back()) == 0;
  if (takes_rest ? parts.size() < pattern.size() : parts.size() != pattern.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (rank(pattern[i]) == 2 ? pattern[i] != parts[i] : parts[i].empty()) return false;
  }
  return true;
}

std::vector<HttpParameter> parameters_of(const std::vector<std::string>& pattern,
                                         const std::vector<std::string>& parts) {
  std::vector<HttpParameter> result;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (rank(pattern[i]) == 2) continue;
    std::string value = parts[i];
    if (rank(pattern[i]) == 0) {
      for (size_t k = i + 1; k < parts.size(); ++k) value += '/' + parts[k];
    }
    result.push_back({pattern[i].substr(1), std::move(value)});
  }
  return result;
}

void add_method(std::string& allow, std::string_view method) {
  if ((", " + allow + ", ").find(", " + std::string(method) + ", ") != std::string::npos) return;
  if (!allow.empty()) allow += ", ";
  allow += method;
}

}  // namespace

void HttpRouter::add(std::string method, std::string pattern, HttpHandler handler,
                     HttpRouteOptions options) {
  const auto refuse = [&](const char* why) {
    throw Error(ErrorCode::kInternal, "the route " + method + " " + pattern + " " + why);
  };
  if (!pattern.starts_with('/')) refuse("does not begin with a slash");
  if (!handler) refuse("has no handler");
  std::vector<std::string> parts = split_pattern(pattern);
  for (const std::string& part : parts) {
    if (rank(part) != 2 && part.size() == 1) refuse("has a parameter without a name");
    if (rank(part) == 0 && &part != &parts.back()) refuse("goes on after a part like *name");
  }
  for (const HttpRoute& route : routes_) {
    if (route.method == method && route.pattern == pattern) refuse("is there already");
  }
  routes_.push_back({std::move(method), std::move(pattern), std::move(handler), std::move(options),
                     std::move(parts)});
}

HttpRouter::Match HttpRouter::find(std::string_view method,
                                   const std::vector<std::string>& parts) const {
  Match match;
  const HttpRoute* head_route = nullptr;  // a GET for a HEAD, unless HEAD has its own
  for (const HttpRoute& route : routes_) {
    if (!fits(route.parts, parts)) continue;
    add_method(match.allow, route.method);
    if (route.method == "GET") add_method(match.allow, "HEAD");
    if (route.method == method &&
        (match.route == nullptr || more_exact(route.parts, match.route->parts))) {
      match.route = &route;
    }
    if (method == "HEAD" && route.method == "GET" &&
        (head_route == nullptr || more_exact(route.parts, head_route->parts))) {
      head_route = &route;
    }
  }
  if (match.route == nullptr) match.route = head_route;
  if (match.route != nullptr) match.parameters = parameters_of(match.route->parts, parts);
  if (!match.allow.empty()) add_method(match.allow, "OPTIONS");
  return match;
}

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/: one request to one server and its one answer, over libcurl.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/http_client.h"
#include "net/url.h"

namespace omg {

/// What is asked of one server, and what it answered.
struct HttpExchange {
  explicit HttpExchange(const HttpRequest& whole) : request(whole), method(whole.method) {}

  const HttpRequest& request;
  Url url;
  std::string method;
  std::string proxy;  // "" = none
  bool sends_body = true;
  bool credentials = false;
  bool public_only = false;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  /// Whether an answer is a redirect that is followed: its body is then dropped.
  std::function<bool(const HttpResponse& head)> follows;

  HttpResponse response;
  bool redirected = false;
  bool peer_is_public = true;  // the address that was connected to
};

/// Refuses to connect to `url` since a server named it and it is no address of the internet.
[[noreturn]] void throw_private_address(const Url& url);

/// A libcurl handle with its connections.
class HttpSession {
 public:
  explicit HttpSession(const HttpClientOptions& options);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  /// Fills in `exchange.response` and what follows it. Throws as HttpClient::send() does.
  void run(HttpExchange& exchange);

 private:
  struct Handles;
  const HttpClientOptions& options_;
  std::unique_ptr<Handles> handles_;
};

}  // namespace omg

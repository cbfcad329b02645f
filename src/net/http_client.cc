// SPDX-License-Identifier: Apache-2.0
//
// The loop over redirects, and what is decided between two of them. One exchange with one server is
// in http_exchange.cc.
#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <unistd.h>

#include "net/http_exchange.h"
#include "net/ip_address.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr size_t kMaxRedirects = 10;

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string::npos;
  });
}

bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

void check_request(const HttpRequest& request) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot send a request: " + why + "; correct the caller's settings");
  };
  if (!is_token(request.method)) refuse("the method is no word");
  if (!is_field_value(request.authorization)) refuse("the credentials hold control characters");
  for (const auto& [name, value] : request.headers) {
    if (!is_token(name) || !is_field_value(value)) refuse("the header '" + name + "' is malformed");
    std::string lower = name;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    for (const char* secret : {"authorization", "cookie", "proxy-authorization"}) {
      if (lower == secret) refuse("the header '" + name + "' may not go to every server");
    }
  }
  if (request.range && (request.compressed || request.range->length == uint64_t{0})) {
    refuse("a range must not be empty or compressed");
  }
}

/// The method after a redirect, as browsers do it (RFC 9110, 15.4).
std::string method_after(int status, const std::string& method) {
  if (status == 303 && method != "HEAD") return "GET";
  if ((status == 301 || status == 302) && method == "POST") return "GET";
  return method;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Without the query, which may be a signature that gives access.
std::string shown(const Url& url) {
  return url.base() + url.path;
}

[[noreturn]] void refuse_redirect(const Url& from, const std::string& why,
                                  const std::string& advice) {
  throw HttpError(ErrorCode::kCorrupt, HttpFailure::kRedirect, 0,
                  "the redirect from " + shown(from) + " is refused: " + why + "; " + advice);
}

/// Names that stand for this machine or its network, where a proxy would look them up for us.
bool is_local_name(const std::string& host) {
  if (const auto is_public = is_public_address(host)) return !*is_public;
  for (const char* ending :
       {"localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa"}) {
    if (host == ending || (*ending == '.' && host.ends_with(ending))) return true;
  }
  return false;
}

}  // namespace

class HttpClient::Impl {
 public:
  explicit Impl(HttpClientOptions options) : options_(std::move(options)), session_(options_) {
    if (!options_.ca_file.empty() && access(options_.ca_file.c_str(), R_OK) != 0) {
      throw Error(ErrorCode::kNotFound, "cannot read the certificates '" + options_.ca_file +
                                            "': no such file, or no right to; check --ca-file");
    }
  }

  const HttpClientOptions& options() const { return options_; }
  HttpResponse send(const HttpRequest& request);

 private:
  HttpClientOptions options_;
  HttpSession session_;
};

HttpResponse HttpClient::Impl::send(const HttpRequest& request) {
  check_request(request);
  Url url = parse_url(request.url);
  if (options_.offline) {
    throw HttpError(ErrorCode::kUnavailable, HttpFailure::kOffline, 0,
                    "cannot reach " + shown(url) + ": offline mode is on; leave out --offline");
  }
  const std::string first_origin = url.origin();
  HttpExchange exchange(request);
  exchange.credentials = !request.authorization.empty();
  if (request.total_timeout.count() > 0) {
    exchange.deadline = std::chrono::steady_clock::now() + request.total_timeout;
  }
  exchange.public_only = request.addresses == HttpAddresses::kPublicOnly;
  HttpResponse response;
  std::vector<std::string> visited;
  while (true) {
    visited.push_back(exchange.method + " " + url.text());
    exchange.url = url;
    exchange.proxy = options_.unix_socket.empty()
                         ? options_.proxy.proxy_for(url.scheme, url.host, url.port)
                         : "";
    if (exchange.public_only && !exchange.proxy.empty() && is_local_name(url.host)) {
      throw_private_address(url);
    }
    // Whether this answer sends us elsewhere is decided when its headers are there, since the body
    // of a redirect is not for the caller.
    exchange.follows = [&](const HttpResponse& head) {
      if (!is_redirect(head.status) || request.redirects == HttpRedirects::kReturn) return false;
      const auto location = head.headers.find("Location");
      if (!location) {
        if (request.redirects == HttpRedirects::kSameOrigin) return false;
        refuse_redirect(url, "it names no address", "tell whoever runs the server");
      }
      return request.redirects == HttpRedirects::kFollow ||
             resolve_url(url, *location).origin() == url.origin();
    };
    session_.run(exchange);
    HttpResponse& answer = exchange.response;
    answer.url = url.text();
    if (visited.size() == 1 && request.addresses == HttpAddresses::kAny) {
      const bool is_private =
          exchange.proxy.empty() ? !exchange.peer_is_public : is_local_name(url.host);
      exchange.public_only = !is_private;
    }
    answer.addresses = exchange.public_only ? HttpAddresses::kPublicOnly : HttpAddresses::kAny;
    if (!exchange.redirected) {
      answer.hops = std::move(response.hops);
      return std::move(answer);
    }
    const Url next = resolve_url(url, *answer.headers.find("Location"));
    if (url.scheme == "https" && next.scheme == "http") {
      refuse_redirect(url, "it leads from https to http", "use a server that keeps to https");
    }
    exchange.method = method_after(answer.status, exchange.method);
    if (exchange.method != request.method) exchange.sends_body = false;
    const std::string step = exchange.method + " " + next.text();
    if (std::find(visited.begin(), visited.end(), step) != visited.end()) {
      refuse_redirect(url, "it leads back to " + shown(next), "tell whoever runs the server");
    }
    if (visited.size() > kMaxRedirects) {
      refuse_redirect(url, "it is the eleventh in a row", "tell whoever runs the server");
    }
    if (next.origin() != first_origin) exchange.credentials = false;
    response.hops.push_back({answer.status, url.text(), std::move(answer.headers)});
    url = next;
  }
}

HttpClient::HttpClient(HttpClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

const HttpClientOptions& HttpClient::options() const {
  return impl_->options();
}

HttpResponse HttpClient::send(const HttpRequest& request) {
  return impl_->send(request);
}

HttpResponse HttpClient::get(const std::string& url, const std::string& what) {
  HttpRequest request;
  request.url = url;
  request.compressed = true;
  request.total_timeout = std::chrono::seconds(120);
  HttpResponse response = send(request);
  if (!response.ok()) throw http_status_error(response, what);
  return response;
}

}  // namespace omg

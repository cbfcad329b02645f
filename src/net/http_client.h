// SPDX-License-Identifier: Apache-2.0
//
// HTTP for those who fetch models: one request after another over kept connections, thin over
// libcurl. What libcurl would do silently is done here where it can be checked: redirects and the
// credentials that may follow them, proxies, the addresses that a server may send us to, and the
// sizes of everything that comes back.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/error.h"
#include "net/http_headers.h"

namespace omg {

/// Which proxy to ask, as the variables http_proxy, HTTPS_PROXY, ALL_PROXY and NO_PROXY say
/// (HTTP_PROXY in capitals is not read: a web server could have set it from a request).
struct ProxySettings {
  std::string http;
  std::string https;
  std::string all;
  std::string no_proxy;  // comma separated: hosts, ".domain", CIDR blocks, "*"

  static ProxySettings from_environment();
  /// The proxy for a host, or "" for none.
  std::string proxy_for(std::string_view scheme, std::string_view host, uint16_t port) const;
};

struct HttpClientOptions {
  std::string user_agent = "ohmygpu/" OMG_VERSION;
  /// PEM file with the certificates to trust, besides the system's folder; "" = the system's.
  std::string ca_file;
  ProxySettings proxy;
  std::chrono::milliseconds connect_timeout{20'000};
  /// A Unix socket that all connections go to, whatever host a URL names; "" = none. No proxy then.
  std::string unix_socket;
  /// Refuses every request: nothing may leave this machine.
  bool offline = false;
  /// For requests that bring none of their own.
  CancellationToken cancellation;

  /// Proxies, and OMG_CA_FILE or SSL_CERT_FILE, from the environment.
  static HttpClientOptions from_environment();
};

/// `length` bytes from `offset`, or all from there on.
struct ByteRange {
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

/// A body to send, readable from any place since a redirect or a retry sends it again.
struct HttpUpload {
  uint64_t size = 0;
  /// Fills `out` with up to `capacity` bytes from `offset`; returns how many (0 < n unless at end).
  std::function<size_t(uint64_t offset, char* out, size_t capacity)> read;
};

enum class HttpRedirects {
  kFollow,      // at most 10, no cycles
  kSameOrigin,  // a redirect to another origin is returned as the response
  kReturn,      // every redirect is returned as the response
};

/// Where connections may go. A server's word is worth less than the user's: redirects are held to
/// kPublicOnly unless the first URL itself led to a private, loopback or link-local address.
enum class HttpAddresses {
  kAny,         // the user named this URL
  kPublicOnly,  // a server named it (a Link, a Location kept for later)
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;  // empty if a sink took it
  std::string url;   // of this response, after redirects
  /// Answers that redirected, oldest first, bodies empty. (X-Repo-Commit and its like stand here.)
  struct Hop {
    int status = 0;
    std::string url;
    HttpHeaders headers;
  };
  std::vector<Hop> hops;
  /// What redirects were held to: hand it on in a request for a URL that this response named.
  HttpAddresses addresses = HttpAddresses::kPublicOnly;
  /// With HttpRequest::range: first byte and total size, from Content-Range.
  uint64_t range_offset = 0;
  std::optional<uint64_t> total_size;

  bool ok() const { return status >= 200 && status < 300; }
  /// The header of that name in the last answer that has it, redirects included.
  std::optional<std::string_view> find_header(std::string_view name) const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  /// Sent to every origin. Authorization and Cookie are refused here: see `authorization`.
  std::vector<HttpHeaders::Field> headers;
  /// Whole value of the header Authorization. Sent to the origin of `url` alone (scheme, host and
  /// port), never across a redirect to another, not even when a redirect leads back.
  std::string authorization;
  std::string body;
  std::optional<HttpUpload> upload;  // instead of `body`
  /// Asks for a part. Only 206 with the very offset counts (or 200 when the offset is 0, cut to
  /// length); a server that ignores the range is an HttpError(kProtocol), other statuses come back.
  std::optional<ByteRange> range;
  HttpRedirects redirects = HttpRedirects::kFollow;
  HttpAddresses addresses = HttpAddresses::kAny;
  /// Accepts gzip, deflate and the like; limits hold for what is decoded. Not with `range`.
  bool compressed = false;
  /// Of the decoded body. With a range that has a length, that length is the limit instead.
  uint64_t max_body_bytes = 64u << 20;
  size_t max_header_bytes = 64u << 10;
  /// Gives up below `stall_bytes_per_second` for `stall_timeout`.
  uint64_t stall_bytes_per_second = 1;
  std::chrono::seconds stall_timeout{30};
  /// For the whole request, redirects included; 0 = none.
  std::chrono::milliseconds total_timeout{0};
  /// Instead of the client's. Polled at least every 50 ms; raising it ends the request with
  /// Error(kCancelled).
  std::optional<CancellationToken> cancellation;
  /// Called once before the body of the final answer, whatever its status; false stops there, and
  /// the response comes back with what there is.
  std::function<bool(const HttpResponse& head)> on_head;
  /// Takes the body of a final 2xx answer piece by piece (other bodies go to HttpResponse::body);
  /// false stops, and the response comes back. May throw; may block, which slows the sender.
  std::function<bool(std::string_view piece)> sink;
};

enum class HttpFailure {
  kOffline,      // the client was made with `offline`
  kResolve,      // no such host
  kConnect,      // nobody listens there, or a timeout on the way
  kTls,          // certificate or handshake
  kStalled,      // too slow for too long, or past the total timeout
  kInterrupted,  // the connection broke, or the body ended before its length
  kProtocol,     // an answer that breaks HTTP or ignores what was asked
  kRedirect,     // too many, in a circle, without an address, or from https to http
  kAddress,      // a server sent us to a private address
  kTooLarge,     // past max_body_bytes or max_header_bytes
  kStatus,       // thrown by http_status_error() for an answer with an error status
};

/// What went wrong with a request. The code() is kUnavailable for what may work later, kNotFound
/// for 404, kLimitExceeded for kTooLarge, and so on.
class HttpError : public Error {
 public:
  HttpError(ErrorCode code, HttpFailure failure, int status, const std::string& message)
      : Error(code, message), failure_(failure), status_(status) {}
  HttpFailure failure() const { return failure_; }
  int status() const { return status_; }  // 0 unless kStatus
  /// Whether the same request may succeed in a moment (network, 408, 429, 5xx).
  bool is_transient() const;
  /// From Retry-After, if the server gave one in seconds.
  std::optional<std::chrono::seconds> retry_after;

 private:
  HttpFailure failure_;
  int status_;
};

/// The error for an answer with a status that was not wanted: "<what>: <host> answered 503 …; …".
HttpError http_status_error(const HttpResponse& response, const std::string& what);

/// One request at a time; connections are kept between requests. Not thread-safe: one for each
/// thread. Movable.
class HttpClient {
 public:
  /// Throws Error(kNotFound) if `options.ca_file` cannot be read.
  explicit HttpClient(HttpClientOptions options = HttpClientOptions::from_environment());
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  const HttpClientOptions& options() const;
  /// Answers of any status are returned. Throws HttpError for what kept an answer from coming
  /// whole, Error(kCancelled), Error(kInvalidArgument) for a request that makes no sense.
  HttpResponse send(const HttpRequest& request);
  /// GET of a small text with a 2xx answer; else http_status_error(). `what` says what for.
  HttpResponse get(const std::string& url, const std::string& what);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/server: HTTP/1.1 requests out of bytes (RFC 9112), with no sockets.
//
// A server and a proxy before it that read one message differently let requests be smuggled, so
// this reader takes one spelling of each thing and refuses all others. Boost.Beast 1.81's, which we
// tried first, accepts folded header lines, repeated Content-Length ("3, 3" too), any
// Transfer-Encoding ("xchunked", and "gzip" as a body of no bytes), chunked bodies in HTTP/1.0,
// spaces after a chunk's size, several Hosts or none, and any bytes as a target. It serves as the
// other opinion in http_server_fuzz.cc: what is accepted here must mean the same there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/server/http_server.h"

namespace omg {

/// What the head of a message says of the message itself.
struct RequestHead {
  std::string method;
  std::string target;
  int minor_version = 1;
  HttpHeaders headers;
  std::string host;  // "" only in HTTP/1.0
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;

  bool has_body() const { return chunked || content_length.value_or(0) != 0; }
};

/// The head, line by line as it comes. All errors are HttpRefusal, after which nothing that the
/// connection still brings can be trusted.
class RequestHeadParser {
 public:
  explicit RequestHeadParser(const HttpServerLimits& limits) : limits_(limits) {}
  /// Takes whole lines from the front of `bytes`; returns how many bytes. Call it again with the
  /// rest and what came after it.
  size_t take(std::string_view bytes);
  bool is_done() const { return done_; }
  /// Whether a first byte of the head has been seen, in `take` or waiting in `rest`.
  bool has_begun(std::string_view rest) const { return begun_ || !rest.empty(); }
  /// Once done; leaves the parser as new.
  RequestHead finish();

 private:
  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  void check_size(std::string_view rest) const;
  void finish_headers();

  const HttpServerLimits& limits_;
  RequestHead head_;
  size_t bytes_ = 0;
  bool begun_ = false;
  bool skipped_empty_line_ = false;
  bool done_ = false;
};

/// The bytes of a body out of its framing.
class BodyDecoder {
 public:
  /// For `head`'s body. Refuses (413) one that says it is longer than `max_bytes`.
  BodyDecoder(const RequestHead& head, uint64_t max_bytes);
  BodyDecoder() : done_(true) {}
  /// Appends to `out` what `bytes` holds of the body, up to `room` bytes; returns how many bytes of
  /// `bytes` were used. HttpRefusal for broken chunks, and beyond max_bytes.
  size_t take(std::string_view bytes, std::string& out, size_t room);
  bool is_done() const { return done_; }
  uint64_t received() const { return received_; }

 private:
  enum class State { kData, kSize, kDataEnd, kTrailer };
  void take_size_line(std::string_view line);
  void take_trailer_line(std::string_view line);
  size_t take_data(std::string_view bytes, std::string& out, size_t room);

  State state_ = State::kData;
  uint64_t max_bytes_ = 0;
  uint64_t left_ = 0;  // of the body, or of the chunk
  uint64_t received_ = 0;
  size_t overhead_ = 0;  // bytes of extensions and trailers
  bool chunked_ = false;
  bool done_ = false;
};

/// A request target in origin form ("/a%20b?c=d") taken apart. "*" gives one part "*".
struct RequestTarget {
  std::string path;
  std::vector<std::string> parts;  // decoded; "/a/" has "a" and ""
  std::vector<HttpParameter> query;
};
/// HttpRefusal (400) for all other forms, broken escapes, and paths that climb.
RequestTarget parse_target(std::string_view target);

/// Whether a text may be a method or the name of a field, and what may stand in a field's value.
bool is_http_token(std::string_view text);
bool is_http_field_value(std::string_view text);

/// Whether a comma-separated header names `token`, in any field of that name, without case.
bool header_lists(const HttpHeaders& headers, std::string_view name, std::string_view token);

}  // namespace omg

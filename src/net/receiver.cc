// SPDX-License-Identifier: Apache-2.0
//
// An answer as it comes in.
#include "net/receiver.h"

#include <algorithm>
#include <charconv>

namespace omg {
namespace {

constexpr uint64_t kMaxErrorBodyBytes = 64u << 10;

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

struct ContentRange {
  uint64_t first;
  uint64_t last;
  std::optional<uint64_t> total;
};

bool take_number(std::string_view& text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// "bytes 0-99/1234" or "bytes 0-99/*" (RFC 9110, 14.4).
std::optional<ContentRange> parse_content_range(std::string_view text) {
  ContentRange range{};
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  if (!take_number(text, range.first) || !take_char(text, '-') || !take_number(text, range.last) ||
      !take_char(text, '/') || range.last < range.first) {
    return std::nullopt;
  }
  if (text == "*") return range;
  uint64_t total = 0;
  if (!take_number(text, total) || !text.empty() || range.last >= total) return std::nullopt;
  range.total = total;
  return range;
}

}  // namespace

void Receiver::fail(ErrorCode code, HttpFailure failure, const std::string& why) const {
  throw HttpError(code, failure, 0,
                  "cannot load " + exchange_.url.base() + exchange_.url.path + ": " + why +
                      "; tell whoever runs the server");
}

bool Receiver::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > exchange_.request.max_header_bytes) {
    fail(ErrorCode::kLimitExceeded, HttpFailure::kTooLarge,
         "its headers have more than " + std::to_string(exchange_.request.max_header_bytes) +
             " bytes");
  }
  if (head_done_) return true;  // a trailer: counted, and of no use to us
  HttpResponse& response = exchange_.response;
  if (line.starts_with("HTTP/")) {
    response.headers = HttpHeaders();
    std::string_view rest = line.substr(std::min(line.size(), line.find(' ')));
    rest = trim(rest);
    uint64_t status = 0;
    if (!take_number(rest, status) || status < 100 || status > 599) {
      fail(ErrorCode::kCorrupt, HttpFailure::kProtocol, "its status line is malformed");
    }
    response.status = static_cast<int>(status);
    return true;
  }
  const std::string_view text = trim(line);
  if (text.empty()) return end_of_headers();
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return true;  // a folded line: of no use to us
  response.headers.add(std::string(trim(text.substr(0, colon))),
                       std::string(trim(text.substr(colon + 1))));
  return true;
}

bool Receiver::end_of_headers() {
  HttpResponse& response = exchange_.response;
  if (response.status < 200) return true;  // an interim answer: the real one follows
  head_done_ = true;
  exchange_.redirected = exchange_.follows(response);
  if (exchange_.redirected) return true;
  if (exchange_.request.range && response.ok()) check_range();
  if (exchange_.method != "HEAD" && response.ok() && !expected_) {
    const auto length = response.headers.find_number("Content-Length");
    if (length && *length > exchange_.request.max_body_bytes) {
      fail(ErrorCode::kLimitExceeded, HttpFailure::kTooLarge,
           "it is " + std::to_string(*length) + " bytes long, and at most " +
               std::to_string(exchange_.request.max_body_bytes) + " are allowed");
    }
  }
  if (exchange_.request.on_head && !exchange_.request.on_head(response)) return stop();
  return true;
}

void Receiver::check_range() {
  HttpResponse& response = exchange_.response;
  const ByteRange& asked = *exchange_.request.range;
  if (const auto coding = response.headers.find("Content-Encoding");
      coding && *coding != "identity" && !coding->empty()) {
    fail(ErrorCode::kCorrupt, HttpFailure::kProtocol, "a part of it came compressed");
  }
  if (response.status == 206) {
    check_partial_range(asked.offset);
    return;
  }
  if (asked.offset != 0 || response.status != 200) {
    fail(ErrorCode::kUnsupported, HttpFailure::kProtocol, "the server ignores ranges");
  }
  response.total_size = response.headers.find_number("Content-Length");
  expected_ = response.total_size;
  if (asked.length) expected_ = std::min(*asked.length, expected_.value_or(*asked.length));
}

void Receiver::check_partial_range(uint64_t offset) {
  HttpResponse& response = exchange_.response;
  const auto text = response.headers.find("Content-Range");
  const auto range = text ? parse_content_range(*text) : std::nullopt;
  const auto length = exchange_.request.range->length;
  if (!range || range->first != offset || (length && range->last - range->first >= *length) ||
      range->last == UINT64_MAX) {
    fail(ErrorCode::kCorrupt, HttpFailure::kProtocol, "another range came than was asked for");
  }
  response.range_offset = range->first;
  response.total_size = range->total;
  expected_ = range->last - range->first + 1;
}

bool Receiver::take_body(std::string_view piece) {
  const HttpRequest& request = exchange_.request;
  HttpResponse& response = exchange_.response;
  if (exchange_.redirected) {
    received_ += piece.size();
    return received_ <= kMaxErrorBodyBytes ? true : stop();  // no reading on for the connection
  }
  const bool is_wanted = response.ok();
  bool is_last = false;
  if (is_wanted && expected_) {
    const uint64_t left = *expected_ - received_;
    if (piece.size() > left) {
      if (response.status == 206) {
        fail(ErrorCode::kCorrupt, HttpFailure::kProtocol, "more bytes came than were announced");
      }
      piece = piece.substr(0, static_cast<size_t>(left));
    }
    is_last = response.status == 200 && piece.size() == left && request.range->length;
  }
  uint64_t limit = request.max_body_bytes;
  if (!is_wanted) limit = std::min(limit, kMaxErrorBodyBytes);
  if (is_wanted && expected_ && request.range->length) limit = *expected_;
  if (piece.size() > limit - std::min(limit, received_)) {
    if (!is_wanted) return stop();  // enough of an error's text
    fail(ErrorCode::kLimitExceeded, HttpFailure::kTooLarge,
         "it has more than the " + std::to_string(limit) + " bytes that are allowed");
  }
  received_ += piece.size();
  if (is_wanted && request.sink) {
    if (!piece.empty() && !request.sink(piece)) return stop();
  } else {
    response.body.append(piece);
  }
  return is_last ? stop() : true;
}

void Receiver::finish() {
  if (!head_done_) fail(ErrorCode::kCorrupt, HttpFailure::kProtocol, "it sent no answer");
  if (stopped_ || exchange_.redirected || exchange_.method == "HEAD") return;
  if (exchange_.response.ok() && expected_ && received_ < *expected_) {
    throw HttpError(ErrorCode::kUnavailable, HttpFailure::kInterrupted, 0,
                    "cannot load " + exchange_.url.base() + exchange_.url.path + ": " +
                        std::to_string(*expected_ - received_) + " bytes are missing; try again");
  }
}

}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// See fake_server.h. It keeps HttpClient's promises: on_head before the body, a sink that may stop,
// errors as HttpError, cancellation.
#include "hub/transfer/testing/fake_server.h"

#include <algorithm>
#include <random>
#include <thread>

namespace omg::testing {

class FakeServer::Connection final : public TransferConnection {
 public:
  explicit Connection(FakeServer& server) : server_(server) {}
  HttpResponse send(const HttpRequest& request) override { return server_.send(request); }

 private:
  FakeServer& server_;
};

Transfers::Connect FakeServer::connect() {
  return [this] { return std::make_unique<Connection>(*this); };
}

std::vector<FakeServer::Seen> FakeServer::requests() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

size_t FakeServer::hub_requests() const {
  const std::lock_guard lock(mutex_);
  return hub_requests_;
}

uint64_t FakeServer::sent() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const Seen& seen : seen_) sum += seen.bytes;
  return sum;
}

std::string FakeServer::content_url() const {
  return "http://content.test/signed?" + std::to_string(generation_.load());
}

HttpResponse FakeServer::send(const HttpRequest& request) {
  if (request.cancellation) request.cancellation->throw_if_cancelled();
  return request.url == hub_url ? answer_hub(request) : answer_content(request);
}

HttpResponse FakeServer::answer_hub(const HttpRequest& request) {
  HttpResponse response;
  response.url = request.url;
  const std::lock_guard lock(mutex_);
  response.status = hub_status ? hub_status(hub_requests_) : 0;
  ++hub_requests_;
  if (response.status == 0) {
    response.status = 302;
    response.headers.add("Location", content_url());
    response.headers.add("X-Linked-ETag", etag);
    response.headers.add("X-Linked-Size", std::to_string(content.size()));
  }
  return response;
}

HttpResponse FakeServer::answer_content(const HttpRequest& request) {
  Seen seen;
  seen.url = request.url;
  seen.range = request.range;
  seen.authorization = request.authorization;
  for (const auto& [name, value] : request.headers) {
    if (name == "If-Range") seen.if_range = value;
  }
  size_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = seen_.size();
    seen_.push_back(seen);
  }
  const Change altered = change ? change(number, seen) : Change{};
  if (altered.before) altered.before();
  const std::string& bytes = altered.content ? *altered.content : content;
  const std::string tag = altered.etag.value_or(etag);

  HttpResponse response;
  response.url = request.url;
  const bool is_expired =
      request.url.find("signed") != std::string::npos && request.url != content_url();
  response.status = is_expired ? 403 : altered.status;
  if (response.status >= 400) {
    if (altered.retry_after) {
      response.headers.add("Retry-After", std::to_string(altered.retry_after->count()));
    }
    return response;
  }
  uint64_t begin = 0;
  uint64_t end = bytes.size();
  const bool condition_holds = seen.if_range.empty() || seen.if_range == tag;
  const bool is_part = request.range && !altered.no_ranges && condition_holds;
  response.status = is_part ? 206 : 200;
  if (is_part) {
    begin = request.range->offset;
    if (request.range->length) end = std::min(end, begin + *request.range->length);
    response.range_offset = begin;
    response.total_size = bytes.size();
  } else if (request.range && request.range->offset > 0) {
    throw HttpError(ErrorCode::kUnsupported, HttpFailure::kProtocol, 0, "ignores ranges");
  } else if (request.range) {
    response.total_size = bytes.size();
    end = std::min(end, request.range->length.value_or(end));
  }
  if (!tag.empty()) response.headers.add("ETag", tag);
  if (request.on_head && !request.on_head(response)) return response;
  for (uint64_t at = begin; at < end;) {
    if (request.cancellation) request.cancellation->throw_if_cancelled();
    uint64_t length = std::min<uint64_t>(piece_bytes, end - at);
    if (altered.cut_after) length = std::min(length, *altered.cut_after - (at - begin));
    if (length == 0) {
      while (altered.hangs) {
        request.cancellation->throw_if_cancelled();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      throw HttpError(ErrorCode::kUnavailable, HttpFailure::kInterrupted, 0, "broke off");
    }
    {
      const std::lock_guard lock(mutex_);
      seen_[number].bytes += length;
    }
    if (!request.sink(std::string_view(bytes).substr(at, length))) return response;
    at += length;
  }
  return response;
}

std::string test_bytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

}  // namespace omg::testing

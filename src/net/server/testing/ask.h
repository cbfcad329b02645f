// SPDX-License-Identifier: Apache-2.0
//
// Handlers asked without a server or sockets: what a test of a dialect needs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "net/server/connection.h"

namespace omg::testing {

struct Asked {
  int status = 0;
  HttpHeaders headers;
  std::string body;    // of a stream: all of it
  bool whole = false;  // false: a stream was dropped before its end

  std::string header(std::string_view name) const {
    return std::string(headers.find(name).value_or(""));
  }
};

/// One request to one handler. `wait` gives the answer; until then the client may leave.
class LocalRequest {
 public:
  /// Calls the route's handler at once, in this thread. Throws std::runtime_error where there is no
  /// route; what the handler throws is answered as `options.problem_answer` says.
  LocalRequest(const HttpRouter& router, const HttpServerOptions& options, std::string method,
               std::string target, std::string body = "",
               std::vector<HttpHeaders::Field> headers = {})
      : context_{options, router, AccessCheck(options.access), nullptr} {
    RequestTarget parsed = parse_target(target);
    HttpRouter::Match match = router.find(method, parsed.parts);
    if (match.route == nullptr) throw std::runtime_error("no route for " + method + " " + target);
    HttpServerRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.path = std::move(parsed.path);
    request.query = std::move(parsed.query);
    request.route = match.route->pattern;
    request.parameters = std::move(match.parameters);
    for (HttpHeaders::Field& field : headers) {
      request.headers.add(std::move(field.name), std::move(field.value));
    }
    request.peer.loopback = true;
    request.number = 1;
    if (match.route->options.sink) {
      request.sink = match.route->options.sink(request);
      request.sink->take(body);
    } else {
      request.body = std::move(body);
    }
    AnswerFraming framing;
    framing.minor_version = 0;  // streams as they are, without chunks
    framing.stream_buffer_bytes = size_t{1} << 30;
    exchange_ = std::make_shared<ServerExchange>(
        std::move(framing), request.cancellation, [this] { changed(); }, nullptr);
    run_handler(context_, *match.route, request, exchange_);
  }
  LocalRequest(const LocalRequest&) = delete;
  LocalRequest& operator=(const LocalRequest&) = delete;
  ~LocalRequest() { exchange_->release(true); }

  void leave() { exchange_->release(true); }

  /// Until the answer has ended, at most 20 s.
  Asked wait() {
    using Phase = ServerExchange::Phase;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (true) {
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_until(lock, deadline, [&] { return std::exchange(news_, false); })) {
          throw std::runtime_error("the request was not answered");
        }
      }
      const Phase phase = exchange_->phase();  // before the output, which it is about
      const std::string output = exchange_->take_output();
      exchange_->written(output.size());
      bytes_ += output;
      if (phase == Phase::kEnded || phase == Phase::kBroken) return parse(phase == Phase::kEnded);
      if (phase == Phase::kDropped) return {.status = 500};
    }
  }

 private:
  void changed() {
    const std::lock_guard lock(mutex_);
    news_ = true;
    changed_.notify_all();
  }

  Asked parse(bool whole) const {
    Asked asked;
    asked.whole = whole;
    asked.status = std::stoi(bytes_.substr(9, 3));
    const size_t end = bytes_.find("\r\n\r\n");
    for (size_t line = bytes_.find("\r\n") + 2; line < end + 2;) {
      const size_t colon = bytes_.find(": ", line);
      const size_t next = bytes_.find("\r\n", line);
      asked.headers.add(bytes_.substr(line, colon - line),
                        bytes_.substr(colon + 2, next - colon - 2));
      line = next + 2;
    }
    asked.body = bytes_.substr(end + 4);
    return asked;
  }

  ServerContext context_;
  std::shared_ptr<ServerExchange> exchange_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool news_ = false;
  std::string bytes_;
};

/// Asks, and waits for the answer.
inline Asked ask(const HttpRouter& router, std::string method, std::string target,
                 std::string body = "", std::vector<HttpHeaders::Field> headers = {}) {
  HttpServerOptions options;
  options.problem_answer = [](const HttpProblem& problem) {
    return HttpAnswer{500, "text/plain", {}, problem.code + ": " + problem.message};
  };
  return LocalRequest(router, options, std::move(method), std::move(target), std::move(body),
                      std::move(headers))
      .wait();
}

}  // namespace omg::testing

// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a client into a connection that knows no sockets: the first byte of the input says how
// they are cut, the others are sent. What must hold: answers do not depend on the cuts; everything
// sent is HTTP; and a request that is accepted means the same to another reader (Boost.Beast), so
// that nothing can be smuggled between the two.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <string>

#include "base/testing/fuzz_check.h"
#include "net/server/connection.h"

namespace omg {
namespace {

namespace beast = boost::beast;

/// The other end of a transport over memory, and what is to be done next.
struct Wire {
  std::deque<std::function<void()>> tasks;
  std::span<char> room;
  bool reading = false;
  bool ended = false;  // by us
  bool closed = false;
  std::string sent;

  void run() {
    while (!tasks.empty()) {
      const auto task = std::move(tasks.front());
      tasks.pop_front();
      task();
    }
  }
};

class MemoryTransport final : public Transport {
 public:
  explicit MemoryTransport(Wire& wire) : wire_(wire) {}
  void start(std::shared_ptr<TransportEvents> events) override {
    events_ = events;
    wire_.tasks.push_back([events] { events->on_open(); });
  }
  void read(std::span<char> room) override {
    CHECK_THAT(!wire_.reading && !room.empty() && !wire_.closed);
    wire_.reading = true;
    wire_.room = room;
  }
  void write(std::string_view bytes) override {
    CHECK_THAT(!wire_.closed && !wire_.ended && !bytes.empty());
    wire_.sent += bytes;
    wire_.tasks.push_back([events = events_.lock()] { events->on_written(true); });
  }
  size_t write_now(std::string_view bytes) override {  // half of it
    CHECK_THAT(!wire_.closed && !wire_.ended);
    wire_.sent += bytes.substr(0, bytes.size() / 2);
    return bytes.size() / 2;
  }
  void wake_at(std::chrono::steady_clock::time_point) override {}
  void post(std::function<void()> task) override { wire_.tasks.push_back(std::move(task)); }
  bool peer_has_closed() override { return false; }
  void finish_writing() override { wire_.ended = true; }
  void close() override { wire_.closed = true; }

 private:
  Wire& wire_;
  std::weak_ptr<TransportEvents> events_;
};

class CountingSink final : public HttpBodySink {
 public:
  void take(std::string_view piece) override {
    if (piece.find('!') != std::string_view::npos) throw Error(ErrorCode::kCorrupt, "a mark");
    bytes += piece;
  }
  std::string bytes;
};

HttpRouter make_router() {
  HttpRouter router;
  const auto echo = [](HttpServerRequest& request, HttpResponder& responder) {
    std::string body = request.method + " " + request.path;
    for (const HttpParameter& each : request.query) body += " " + each.name + "=" + each.value;
    responder.send({200, "text/plain", {}, body + "\n" + request.body});
  };
  router.add("GET", "/*rest", echo);
  router.add("POST", "/*rest", echo);
  router.add("GET", "/stream", [](HttpServerRequest&, HttpResponder& responder) {
    HttpStream stream = responder.begin(sse_answer(), sse_options());
    for (int i = 0; i < 10; ++i) stream.try_write(sse_event("some text"));
    stream.finish();
  });
  router.add("GET", "/socket", [](HttpServerRequest&, HttpResponder& responder) {
    auto socket = std::make_shared<WebSocket>();
    WebSocketOptions options;
    options.max_message_bytes = 1000;
    options.on_message = [socket](std::string message) { socket->try_send(message); };
    *socket = responder.upgrade(std::move(options));
  });
  HttpRouteOptions upload;
  upload.sink = [](const HttpServerRequest&) { return std::make_unique<CountingSink>(); };
  router.add(
      "PUT", "/upload",
      [](HttpServerRequest& request, HttpResponder& responder) {
        responder.send({200, "", {}, static_cast<CountingSink&>(*request.sink).bytes});
      },
      upload);
  return router;
}

const HttpServerOptions& fuzz_options() {
  static const HttpServerOptions options = [] {
    HttpServerOptions result;
    result.limits.max_body_bytes = 4096;
    result.limits.max_target_bytes = 500;
    result.limits.max_header_bytes = 2000;
    result.limits.max_header_fields = 20;
    result.limits.max_pipelined_bytes = 512;
    result.limits.stream_buffer_bytes = 4096;
    result.problem_answer = [](const HttpProblem& problem) {
      return HttpAnswer{500, "text/plain", {}, problem.message};
    };
    return result;
  }();
  return options;
}

/// What a client gets that sends `bytes` in pieces of `step`.
std::string serve(const HttpRouter& router, std::string_view bytes, size_t step) {
  Wire wire;
  ServerContext context{fuzz_options(), router, AccessCheck(fuzz_options().access),
                        [&](std::function<void()> task) { wire.tasks.push_back(std::move(task)); }};
  int closings = 0;
  {
    const auto connection = std::make_shared<Connection>(
        context, std::make_unique<MemoryTransport>(wire), HttpPeer(), [&] { ++closings; });
    connection->start();
    wire.run();
    while (!bytes.empty() && !wire.closed) {
      if (!wire.reading) break;  // it has enough
      const size_t size = std::min({step, bytes.size(), wire.room.size()});
      std::copy_n(bytes.begin(), size, wire.room.begin());
      bytes.remove_prefix(size);
      wire.reading = false;
      connection->on_read(size);
      wire.run();
    }
    if (!wire.closed && wire.reading) connection->on_read_end(false);
    wire.run();
    connection->cut();
    wire.run();
    CHECK_THAT(wire.closed && closings == 1);
  }
  return wire.sent;
}

/// Without what may differ: dates, and whether a body was asked for.
std::string comparable(std::string text) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  for (size_t at; (at = text.find(interim)) != std::string::npos;) text.erase(at, interim.size());
  for (size_t at = 0; (at = text.find("\r\nDate: ", at)) != std::string::npos; at += 2) {
    text.erase(at, 37);
  }
  return text;
}

/// Whether another reader takes the first request for what we take it for.
void compare_with_beast(std::string_view bytes) {
  const HttpServerLimits& limits = fuzz_options().limits;
  RequestHeadParser parser(limits);
  RequestHead head;
  std::string body;
  size_t used = 0;
  try {
    used = parser.take(bytes);
    if (!parser.is_done()) return;
    head = parser.finish();
    BodyDecoder decoder(head, 4096);
    used += decoder.take(bytes.substr(used), body, 4096);
    if (!decoder.is_done()) return;
  } catch (const HttpRefusal&) {
    return;  // we may be stricter
  }
  // Beast listens to Proxy-Connection, also in trailers; nobody should.
  for (size_t i = 0; i + 16 <= bytes.size(); ++i) {
    if (equal_without_case(bytes.substr(i, 16), "proxy-connection")) return;
  }
  if (bytes.starts_with("\r\n")) {
    bytes.remove_prefix(2);
    used -= 2;
  }
  beast::http::request_parser<beast::http::string_body> other;
  other.eager(true);
  other.header_limit(1 << 20);
  beast::error_code error;
  size_t taken = 0;
  while (!other.is_done() && taken < bytes.size()) {
    const size_t step =
        other.put(boost::asio::buffer(bytes.data() + taken, bytes.size() - taken), error);
    taken += step;
    if (error || step == 0) break;
  }
  CHECK_THAT(!error && other.is_done());
  CHECK_THAT(taken == used);
  const auto& message = other.get();
  CHECK_THAT(std::string_view(message.method_string().data(), message.method_string().size()) ==
             head.method);
  CHECK_THAT(std::string_view(message.target().data(), message.target().size()) == head.target);
  CHECK_THAT(message.version() == 10u + static_cast<unsigned>(head.minor_version));
  CHECK_THAT(message.body() == body);
  CHECK_THAT(message.keep_alive() == head.keep_alive);
  for (const HttpHeaders::Field& field : head.headers.fields()) {
    bool found = false;
    const auto range = message.equal_range(field.name);
    for (auto each = range.first; each != range.second; ++each) {
      found = found || std::string_view(each->value().data(), each->value().size()) == field.value;
    }
    CHECK_THAT(found);
  }
}

}  // namespace
}  // namespace omg

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > 16384) return 0;
  static const omg::HttpRouter router = omg::make_router();
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = omg::serve(router, bytes, size);
  CHECK_THAT(whole.empty() || whole.starts_with("HTTP/1.1 "));
  const std::string cut = omg::serve(router, bytes, 1 + data[0] % 64);
  CHECK_THAT(omg::comparable(whole) == omg::comparable(cut));
  omg::compare_with_beast(bytes);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// WebSockets: the examples of RFC 6455, clients that break its rules, and the frames by themselves.
#include <condition_variable>
#include <deque>
#include <gtest/gtest.h>
#include <mutex>

#include "net/server/http_server.h"
#include "net/server/testing/raw_client.h"
#include "net/server/websocket_frames.h"

namespace omg {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::RawAnswer;
using testing::RawClient;

/// A frame as clients send it. `first`: FIN, reserved bits and opcode.
std::string masked(uint8_t first, const std::string& payload) {
  std::string frame = websocket_frame(WebSocketOpcode::kText, payload);
  const size_t header = frame.size() - payload.size();
  frame[0] = static_cast<char>(first);
  frame[1] = static_cast<char>(frame[1] | 0x80);
  const std::string mask = "\x37\xfa\x21\x3d";
  frame.insert(header, mask);
  for (size_t i = 0; i < payload.size(); ++i) {
    frame[header + 4 + i] = static_cast<char>(frame[header + 4 + i] ^ mask[i % 4]);
  }
  return frame;
}

struct Decoded {
  std::vector<std::string> messages;  // opcode digit, then payload
  uint16_t violation = 0;
};

Decoded decode(std::string bytes, size_t step, size_t max_message = 1000) {
  Decoded result;
  WebSocketDecoder decoder(max_message);
  std::string waiting;
  try {
    for (size_t at = 0; at < bytes.size(); at += step) {
      waiting += bytes.substr(at, step);
      bool has_message = true;
      while (has_message) {
        waiting.erase(0, decoder.take(waiting, has_message));
        if (has_message) {
          result.messages.push_back(std::to_string(static_cast<int>(decoder.message().opcode)) +
                                    ":" + decoder.message().payload);
        }
      }
    }
  } catch (const WebSocketViolation& violation) {
    result.violation = violation.close_code();
  }
  return result;
}

TEST(WebSocketFrames, AreThoseOfTheStandard) {
  // RFC 6455, 5.7 and 1.3.
  EXPECT_EQ(websocket_frame(WebSocketOpcode::kText, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(masked(0x81, "Hello"), "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
  EXPECT_EQ(websocket_frame(WebSocketOpcode::kBinary, std::string(256, 'x')).substr(0, 4),
            "\x82\x7e\x01\x00"s);
  EXPECT_EQ(websocket_frame(WebSocketOpcode::kBinary, std::string(65536, 'x')).substr(0, 10),
            "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s);
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketFrames, ComeTheSameHoweverTheyAreCut) {
  const std::string bytes = masked(0x81, "Hello") + masked(0x01, "a\xc3") + masked(0x89, "ping") +
                            masked(0x00, "\xa4") + masked(0x80, "c") + masked(0x81, "") +
                            masked(0x8a, "") + masked(0x81, std::string(300, 'y')) +
                            masked(0x88,
                                   "\x03\xe8"
                                   "bye");
  for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1000}}) {
    const Decoded result = decode(bytes, step);
    EXPECT_EQ(result.violation, 0);
    const std::vector<std::string> expected = {"1:Hello",
                                               "9:ping",
                                               "1:a\xc3\xa4"
                                               "c",
                                               "1:",
                                               "10:",
                                               "1:" + std::string(300, 'y'),
                                               "8:bye"};
    EXPECT_EQ(result.messages, expected) << step;
  }
}

TEST(WebSocketFrames, ThatBreakTheRulesAreRefused) {
  const struct {
    const char* what;
    std::string bytes;
    uint16_t code;
  } cases[] = {
      {"not masked", "\x81\x05Hello", 1002},
      {"reserved bit 1", masked(0xc1, "x"), 1002},
      {"reserved bit 3", masked(0x91, "x"), 1002},
      {"opcode 3", masked(0x83, "x"), 1002},
      {"opcode 11", masked(0x8b, "x"), 1002},
      {"binary", masked(0x82, "x"), 1003},
      {"continues nothing", masked(0x80, "x"), 1002},
      {"text inside text", masked(0x01, "x") + masked(0x81, "y"), 1002},
      {"a ping in parts", masked(0x09, "x"), 1002},
      {"a long ping", masked(0x89, std::string(126, 'x')), 1002},
      {"16 bits for a small length", "\x81\xfe\x00\x05"s + "mask", 1002},
      {"64 bits for a small length", "\x81\xff\x00\x00\x00\x00\x00\x00\x01\x00"s + "mask", 1002},
      {"a length of 2^63", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00"s + "mask", 1002},
      {"too large", masked(0x81, std::string(1001, 'x')), 1009},
      {"too large in parts",
       masked(0x01, std::string(900, 'x')) + masked(0x80, std::string(200, 'x')), 1009},
      {"not UTF-8", masked(0x81, "\xff"), 1007},
      {"not UTF-8 at the end", masked(0x81, "\xc3"), 1007},
      {"a surrogate", masked(0x81, "\xed\xa0\x80"), 1007},
      {"half a close code", masked(0x88, "\x03"), 1002},
      {"close code 1005", masked(0x88, "\x03\xed"), 1002},
      {"close code 999", masked(0x88, "\x03\xe7"), 1002},
      {"close code 5000", masked(0x88, "\x13\x88"), 1002},
      {"a reason that is not UTF-8", masked(0x88, "\x03\xe8\xff"), 1007},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(decode(each.bytes, 1000).violation, each.code) << each.what;
    EXPECT_EQ(decode(each.bytes, 1).violation, each.code) << each.what;
  }
}

constexpr const char* kHandshake =
    "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\n"
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: events\r\nSec-WebSocket-Version: 13\r\n\r\n";

class WebSocketServer : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpRouter router;
    router.add("GET", "/chat", [this](HttpServerRequest&, HttpResponder& responder) {
      WebSocketOptions options;
      options.protocol = "events";
      options.max_message_bytes = 5000;
      options.ping_interval = ping_interval;
      options.on_message = [this](std::string message) {
        if (std::string_view(message) == "throw") throw std::runtime_error("oh");
        const std::lock_guard lock(mutex);
        if (std::string_view(message) == "close") {
          socket.close(3001, "as you wish");
        } else {
          socket.try_send("you said: " + message);
        }
      };
      options.on_closed = [this] {
        const std::lock_guard lock(mutex);
        closed = true;
        changed.notify_all();
      };
      const std::lock_guard lock(mutex);
      socket = responder.upgrade(std::move(options));
      changed.notify_all();
    });
    HttpServerOptions options;
    options.endpoints = {{"127.0.0.1", 0, ""}};
    options.limits.stream_buffer_bytes = 64u << 10;
    server = std::make_unique<HttpServer>(std::move(options), std::move(router));
    client = std::make_unique<RawClient>(server->endpoints().front().port);
  }

  void shake_hands() {
    client->send(kHandshake);
    const RawAnswer answer = client->receive_answer();
    ASSERT_EQ(answer.status, 101);
    EXPECT_EQ(answer.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(answer.header("Upgrade"), "websocket");
    EXPECT_EQ(answer.header("Connection"), "Upgrade");
    EXPECT_EQ(answer.header("Sec-WebSocket-Protocol"), "events");
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return static_cast<bool>(socket); }));
  }

  void expect_frame(uint8_t first, const std::string& payload) {
    std::string frame = websocket_frame(WebSocketOpcode::kText, payload);
    frame[0] = static_cast<char>(first);
    std::string got;
    client->receive_exactly(frame.size(), got);
    EXPECT_EQ(got, frame);
  }

  void expect_closed() {
    EXPECT_TRUE(client->is_closed());
    client->close();
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, 20s, [&] { return closed; }));
    EXPECT_FALSE(socket.is_open());
    EXPECT_EQ(socket.try_send("x"), HttpWrite::kGone);
  }

  std::chrono::milliseconds ping_interval{20'000};
  std::mutex mutex;
  std::condition_variable changed;
  bool closed = false;
  WebSocket socket;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<RawClient> client;
};

TEST_F(WebSocketServer, CarriesMessagesBothWays) {
  shake_hands();
  client->send(masked(0x81, "hi"));
  expect_frame(0x81, "you said: hi");
  client->send(masked(0x01, "in ") + masked(0x89, "are you there?") + masked(0x80, "parts"));
  expect_frame(0x8a, "are you there?");
  expect_frame(0x81, "you said: in parts");
  EXPECT_TRUE(socket.send(std::string(3000, 'z')));
  expect_frame(0x81, std::string(3000, 'z'));
  client->send(masked(0x88,
                      "\x03\xe8"
                      "bye"));
  expect_frame(0x88, "\x03\xe8");
  expect_closed();
}

TEST_F(WebSocketServer, TakesWhatComesWithTheHandshake) {
  client->send(kHandshake + masked(0x81, "early"));
  EXPECT_EQ(client->receive_answer().status, 101);
  expect_frame(0x81, "you said: early");
}

TEST_F(WebSocketServer, ClosesFirst) {
  shake_hands();
  client->send(masked(0x81, "close"));
  expect_frame(0x88,
               "\x0b\xb9"
               "as you wish");
  client->send(masked(0x88, "\x0b\xb9"));
  expect_closed();
}

TEST_F(WebSocketServer, ClosesWithTheReason) {
  shake_hands();
  client->send(masked(0x82, "binary"));
  expect_frame(0x88,
               "\x03\xeb"
               "the WebSocket is closed: only text is understood");
  expect_closed();
}

TEST_F(WebSocketServer, ClosesWhenTheHandlerFails) {
  shake_hands();
  client->send(masked(0x81, "throw"));
  expect_frame(0x88,
               "\x03\xf3"
               "the message could not be handled");
  client->send(masked(0x88, "\x03\xf3"));
  expect_closed();
}

TEST_F(WebSocketServer, SaysThatItStops) {
  shake_hands();
  std::thread stopping([&] { server->stop(20s); });
  expect_frame(0x88, "\x03\xe9the server stops");
  client->send(masked(0x88, "\x03\xe9"));
  expect_closed();
  stopping.join();
}

TEST_F(WebSocketServer, NoticesThatTheClientLeft) {
  shake_hands();
  client->close();
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, 20s, [&] { return closed; }));
}

TEST_F(WebSocketServer, AsksWhetherTheClientIsThere) {
  ping_interval = 50ms;
  shake_hands();
  for (int i = 0; i < 3; ++i) {
    expect_frame(0x89, "");
    client->send(masked(0x8a, ""));
  }
  expect_frame(0x89, "");  // not answered
  expect_closed();
}

TEST_F(WebSocketServer, HoldsLittleForASlowClient) {
  shake_hands();
  const std::string message(4000, 'm');
  size_t taken = 0;
  for (int quiet = 0; quiet < 10;) {
    if (socket.try_send(message) == HttpWrite::kTaken) {
      ++taken;
      quiet = 0;
    } else {
      std::this_thread::sleep_for(2ms);
      ++quiet;
    }
  }
  EXPECT_EQ(socket.try_send(message), HttpWrite::kFull);
  for (size_t i = 0; i < taken; ++i) expect_frame(0x81, message);
  EXPECT_TRUE(socket.send("end"));
  expect_frame(0x81, "end");
}

}  // namespace
}  // namespace omg

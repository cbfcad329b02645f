// SPDX-License-Identifier: Apache-2.0
//
// OutgoingStream against clients that read, that are slow, and that leave. The server's side of an
// exchange is played by the test, byte by byte.
#include "daemon/requests/outgoing_stream.h"

#include <atomic>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "daemon/requests/testing/fake_services.h"
#include "net/server/exchange.h"

namespace omg {
namespace {

/// A client whose kernel takes nothing until read() is called.
struct Client {
  explicit Client(size_t buffer) {
    AnswerFraming framing;
    framing.minor_version = 0;  // without chunks
    framing.stream_buffer_bytes = buffer;
    exchange =
        std::make_shared<ServerExchange>(std::move(framing), CancellationToken(), [] {}, nullptr);
  }
  /// Takes what waits now; returns false when there was nothing.
  bool read() {
    const std::string output = exchange->take_output();
    received += output;
    exchange->written(output.size());
    return !output.empty();
  }
  std::string body() const { return received.substr(received.find("\r\n\r\n") + 4); }
  ServerExchange::Phase phase() const { return exchange->phase(); }

  std::shared_ptr<ServerExchange> exchange;
  std::string received;
};

using Phase = ServerExchange::Phase;

HttpAnswer head() {
  return {200, "text/plain", {}, ""};
}

TEST(OutgoingStream, SendsWhatIsPushedAndEnds) {
  Client client(100);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  EXPECT_FALSE(stream->has_begun());
  stream->begin(head());
  EXPECT_TRUE(stream->has_begun());
  stream->begin(head());
  stream->push("one ");
  stream->push("two");
  stream->finish();
  stream->push("not heard");
  while (client.read()) {
  }
  EXPECT_EQ(client.phase(), Phase::kEnded);
  EXPECT_EQ(client.body(), "one two");
}

TEST(OutgoingStream, SendsAWholeAnswerOnce) {
  Client client(100);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  stream->send({404, "text/plain", {}, "nothing"});
  stream->send({200, "text/plain", {}, "again"});
  stream->begin(head());
  stream->push("more");
  stream->finish();
  client.read();
  EXPECT_EQ(client.received.substr(0, 12), "HTTP/1.1 404");
  EXPECT_EQ(client.body(), "nothing");
  bool called = false;
  stream->on_gone([&] { called = true; });
  client.exchange->release(true);
  EXPECT_FALSE(called) << "the answer had ended";
}

TEST(OutgoingStream, DroppedUnansweredIsAnError) {
  Client client(100);
  OutgoingStream::create(HttpResponder(client.exchange)).reset();
  EXPECT_EQ(client.phase(), Phase::kDropped);
}

TEST(OutgoingStream, DroppedUnfinishedIsBroken) {
  Client client(100);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  stream->begin(head());
  stream->push("half");
  stream.reset();
  while (client.read()) {
  }
  EXPECT_EQ(client.phase(), Phase::kBroken);
}

TEST(OutgoingStream, KeepsForASlowClientAndGoesOn) {
  Client client(1000);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  stream->begin(head());
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = "piece " + std::to_string(i) + "\n";
    all += piece;
    stream->push(piece);
  }
  EXPECT_GT(stream->waiting_bytes(), all.size() - 2000) << "the server's buffer is small";
  stream->finish();
  stream.reset();  // what was pushed before finish() is still sent
  EXPECT_EQ(client.phase(), Phase::kStreaming);
  while (client.read()) {
  }
  EXPECT_EQ(client.phase(), Phase::kEnded);
  EXPECT_EQ(client.body(), all);
}

TEST(OutgoingStream, CutsAClientThatIsTooSlow) {
  Client client(1000);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange), 5000);
  int gone = 0;
  stream->on_gone([&] { ++gone; });
  stream->begin(head());
  for (int i = 0; i < 1000; ++i) stream->push("0123456789");
  EXPECT_EQ(gone, 1);
  EXPECT_TRUE(stream->is_gone());
  EXPECT_EQ(stream->waiting_bytes(), 0u);
  EXPECT_EQ(client.phase(), Phase::kBroken);
  stream->finish();
  EXPECT_EQ(client.phase(), Phase::kBroken);
}

TEST(OutgoingStream, TellsThatTheClientLeft) {
  Client client(1000);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  int gone = 0;
  stream->on_gone([&] { ++gone; });
  client.exchange->release(true);
  EXPECT_EQ(gone, 1);
  stream->on_gone([&] { gone += 10; });
  EXPECT_EQ(gone, 11) << "a function that comes late is called at once";
  stream->begin(head());
  stream->push("nobody reads this");
  stream->finish();
  EXPECT_EQ(stream->waiting_bytes(), 0u);
}

TEST(OutgoingStream, NoticesALossWhileTextWaits) {
  Client client(100);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  int gone = 0;
  stream->on_gone([&] { ++gone; });
  stream->begin(head());
  for (int i = 0; i < 100; ++i) stream->push("0123456789");
  EXPECT_GT(stream->waiting_bytes(), 0u);
  client.exchange->release(true);
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(stream->waiting_bytes(), 0u);
}

TEST(OutgoingStream, TakesPiecesLargerThanTheServersBuffer) {
  Client client(1000);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  stream->begin(head());
  const std::string large(300'000, 'x');
  stream->push(large);
  stream->push("end");
  stream->finish();
  while (client.read()) {
  }
  EXPECT_EQ(client.phase(), Phase::kEnded);
  EXPECT_EQ(client.body(), large + "end");
}

TEST(OutgoingStream, OneThreadWritesWhileAnotherReads) {
  Client client(500);
  auto stream = OutgoingStream::create(HttpResponder(client.exchange));
  stream->begin(head());
  std::string all;
  for (int i = 0; i < 5000; ++i) all += std::to_string(i) + "\n";
  std::thread writer([&, stream]() mutable {
    for (size_t at = 0; at < all.size(); at += 7) stream->push(all.substr(at, 7));
    stream->finish();
    stream.reset();
  });
  stream.reset();
  while (client.phase() != Phase::kEnded || client.read()) {
    client.read();
    std::this_thread::yield();
  }
  writer.join();
  client.read();
  EXPECT_EQ(client.body(), all);
}

TEST(OutgoingStream, LeavingWhileSomebodyWrites) {
  for (int round = 0; round < 50; ++round) {
    Client client(200);
    auto stream = OutgoingStream::create(HttpResponder(client.exchange));
    std::atomic<int> gone{0};
    stream->on_gone([&] { ++gone; });
    stream->begin(head());
    std::thread writer([stream] {
      for (int i = 0; i < 200 && !stream->is_gone(); ++i) stream->push("some text to write");
    });
    for (int i = 0; i < round; ++i) client.read();
    client.exchange->release(true);
    writer.join();
    EXPECT_EQ(gone, 1);
  }
}

}  // namespace
}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// What HTTP costs beside a model: requests over a kept connection, and tokens as server-sent events
// at the pace at which models write them, since most of a lone token's cost is waking threads.
// Counters: microseconds of processor time for each request or event, of the whole process but the
// client, and of the thread that writes events.
#include <benchmark/benchmark.h>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <poll.h>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include "net/server/http_server.h"
#include "net/server/testing/raw_client.h"

namespace omg {
namespace {

using testing::RawClient;

double processor_us(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

HttpServerOptions local() {
  HttpServerOptions options;
  options.endpoints = {{"127.0.0.1", 0, ""}};
  return options;
}

void KeptRequests(benchmark::State& state) {
  HttpRouter router;
  router.add("POST", "/echo", [](HttpServerRequest& request, HttpResponder& responder) {
    responder.send({200, "application/json", {}, std::move(request.body)});
  });
  HttpServer server(local(), std::move(router));
  RawClient client(server.endpoints().front().port);
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body;
  const double process = processor_us(RUSAGE_SELF);
  const double own = processor_us(RUSAGE_THREAD);
  for (auto _ : state) {
    client.send(request);
    if (client.receive_answer().body.size() != body.size()) state.SkipWithError("no answer");
  }
  const double server_us =
      processor_us(RUSAGE_SELF) - process - (processor_us(RUSAGE_THREAD) - own);
  state.counters["server_us"] = server_us / static_cast<double>(state.iterations());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(KeptRequests)->Arg(200)->Arg(20'000)->UseRealTime();

/// Reads and drops what comes, for all clients, until all are closed. Returns its processor time.
double drain(std::vector<std::unique_ptr<RawClient>>& clients) {
  std::vector<pollfd> polled;
  for (const auto& client : clients) polled.push_back({client->socket(), POLLIN, 0});
  size_t open = polled.size();
  std::vector<char> bytes(65536);
  while (open > 0) {
    ::poll(polled.data(), polled.size(), -1);
    for (pollfd& each : polled) {
      if (each.revents == 0) continue;
      if (::recv(each.fd, bytes.data(), bytes.size(), 0) <= 0) {
        each.fd = -1;
        --open;
      }
    }
  }
  return processor_us(RUSAGE_THREAD);
}

/// `range(0)` clients get an event each, `range(1)` times a second (0: as fast as it goes).
void Events(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable begun;
  std::vector<HttpStream> streams;
  HttpRouter router;
  router.add("GET", "/events", [&](HttpServerRequest&, HttpResponder& responder) {
    const std::lock_guard lock(mutex);
    streams.push_back(responder.begin(sse_answer(), sse_options()));
    begun.notify_one();
  });
  HttpServer server(local(), std::move(router));
  const auto count = static_cast<size_t>(state.range(0));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.endpoints().front().port));
    clients.back()->send("GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    clients.back()->receive_until("\r\n\r\n");
  }
  {  // a client has its header before the handler has kept the stream
    std::unique_lock lock(mutex);
    begun.wait(lock, [&] { return streams.size() == count; });
  }
  double client_us = 0;
  std::thread client([&] { client_us = drain(clients); });
  const std::string event = sse_event(std::string(200, 't'));
  const auto pause = std::chrono::microseconds(state.range(1) > 0 ? 1'000'000 / state.range(1) : 0);
  const double process = processor_us(RUSAGE_SELF);
  const double own = processor_us(RUSAGE_THREAD);
  auto next = std::chrono::steady_clock::now();
  for (auto _ : state) {
    for (HttpStream& stream : streams) stream.write(event);
    if (pause.count() > 0) std::this_thread::sleep_until(next += pause);
  }
  const double writer_us = processor_us(RUSAGE_THREAD) - own;
  for (HttpStream& stream : streams) stream.finish();
  client.join();
  const auto events = static_cast<double>(state.iterations()) * static_cast<double>(count);
  state.counters["server_us"] = (processor_us(RUSAGE_SELF) - process - client_us) / events;
  state.counters["writer_us"] = writer_us / events;
  state.SetItemsProcessed(static_cast<int64_t>(events));
}
BENCHMARK(Events)->ArgsProduct({{1, 16}, {200, 0}})->UseRealTime();

}  // namespace
}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
//
// What the border between two processes costs: 16 answers of 200 tokens a second each, from a model
// without weights, once in this process and once in a worker. The figures are processor time for
// each token: of this process (`here`) and of the worker (`there`), which both include the model's
// own thread where it runs.
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <future>
#include <string>
#include <sys/resource.h>

#include "runtimes/worker/serve_worker.h"
#include "runtimes/worker/testing/fake_model.h"
#include "runtimes/worker/worker_model.h"

namespace {

using namespace omg;

constexpr std::chrono::microseconds kStep{5000};
constexpr int kTokens = 200;  // of an answer: a second

double seconds_used() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

std::string answer_of(Model& model, const std::string& prompt) {
  std::promise<void> ended;
  std::string text;
  AnswerRequest request;
  request.prompt = TextPrompt{prompt};
  model.answer(std::move(request), {[&](AnswerPiece&& piece) { text += piece.text; },
                                    [&](const Error*, const AnswerResult&) { ended.set_value(); }});
  ended.get_future().wait();
  return text;
}

void run_streams(Model& model, int streams) {
  std::vector<std::promise<void>> ended(static_cast<size_t>(streams));
  for (std::promise<void>& one : ended) {
    AnswerRequest request;
    request.prompt = TextPrompt{"count " + std::to_string(kTokens)};
    model.answer(std::move(request),
                 {[](AnswerPiece&& piece) { benchmark::DoNotOptimize(piece.text); },
                  [&one](const Error*, const AnswerResult&) { one.set_value(); }});
  }
  for (std::promise<void>& one : ended) one.get_future().wait();
}

void measure(benchmark::State& state, Model& model, bool is_apart) {
  const int streams = static_cast<int>(state.range(0));
  run_streams(model, streams);  // warms both up
  const auto there = [&] { return is_apart ? std::stod(answer_of(model, "cpu")) * 1e-6 : 0; };
  const double there_before = there();
  const double here_before = seconds_used();
  for (auto _ : state) run_streams(model, streams);
  const double tokens = static_cast<double>(state.iterations()) * streams * kTokens;
  state.counters["us_here/token"] = (seconds_used() - here_before) / tokens * 1e6;
  state.counters["us_there/token"] = (there() - there_before) / tokens * 1e6;
}

void BM_InThisProcess(benchmark::State& state) {
  testing::FakeModel model(kStep);
  measure(state, model, false);
}
BENCHMARK(BM_InThisProcess)->Arg(1)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_InAWorker(benchmark::State& state) {
  WorkerOptions options;
  const auto model = start_worker(std::move(options));
  measure(state, *model, true);
}
BENCHMARK(BM_InAWorker)->Arg(1)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  if (argc > 5 && std::string(argv[1]) == "worker") {
    serve_worker({std::atoi(argv[3]), std::atoi(argv[5])}, [](const auto&, const auto&) {
      return std::make_unique<testing::FakeModel>(kStep);
    });
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

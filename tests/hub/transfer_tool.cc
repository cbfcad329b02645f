// SPDX-License-Identifier: Apache-2.0
//
// Downloads one file, for tests of transfers from outside: they kill it, starve it and count what
// the server was asked. transfer_tool --help lists the options. Prints a line of JSON for each
// progress report with --progress, and one at the end: {"sha256":…,"fetched":…,"shared":…}, or
// {"error":…} with exit code 1.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <random>
#include <string>

#include "base/json.h"
#include "hub/transfer/file_target.h"
#include "hub/transfer/transfer.h"

namespace omg {
namespace {

struct Given {
  RemoteFile file;
  std::string target;
  std::string sha256;
  TransferOptions options;
  int stall_seconds = 30;
  int sync_seconds = 30;
  int first_pause_ms = 500;
  bool shows_progress = false;
};

const char* phase_name(TransferPhase phase) {
  switch (phase) {
    case TransferPhase::kWaiting:
      return "waiting";
    case TransferPhase::kConnecting:
      return "connecting";
    case TransferPhase::kTransferring:
      return "transferring";
    case TransferPhase::kRetrying:
      return "retrying";
    case TransferPhase::kPaused:
      return "paused";
    case TransferPhase::kVerifying:
      return "verifying";
    case TransferPhase::kDone:
      return "done";
  }
  return "?";
}

void print(const json::object& object) {
  std::printf("%s\n", json::serialize(object).c_str());
  std::fflush(stdout);
}

void download(Given& given) {
  given.file.path = given.target.substr(given.target.rfind('/') + 1);
  if (!given.sha256.empty()) given.file.sha256 = Digest::require(given.sha256, "--sha256");
  given.options.stall_timeout = std::chrono::seconds(given.stall_seconds);
  given.options.sync_every = std::chrono::seconds(given.sync_seconds);
  given.options.retry.first = std::chrono::milliseconds(given.first_pause_ms);
  given.options.seed = std::random_device()();
  RealFileSystem files;
  SteadyClock clock;
  Transfers transfers(files, clock, HttpClientOptions::from_environment(), given.options);
  TransferRequest request;
  request.file = given.file;
  request.target = std::make_shared<FileTarget>(files, given.target);
  if (given.shows_progress) {
    request.progress = [](const TransferProgress& now) {
      print({{"phase", phase_name(now.phase)},
             {"done", now.done},
             {"hashed", now.hashed},
             {"fetched", now.fetched},
             {"total", now.total},
             {"rate", now.bytes_per_second},
             {"message", now.message}});
    };
  }
  const Transferred done = transfers.fetch(request);
  print({{"sha256", done.sha256.hex()}, {"fetched", done.fetched}, {"shared", done.shared}});
}

int main(int argc, char** argv) {
  Given given;
  CLI::App app("Downloads one file");
  app.add_option("--url", given.file.url)->required();
  app.add_option("--size", given.file.size)->required();
  app.add_option("--to", given.target)->required();
  app.add_option("--sha256", given.sha256);
  app.add_option("--etag", given.file.etag);
  app.add_option("--authorization", given.file.authorization);
  app.add_option("--workers", given.options.chunks.workers);
  app.add_option("--most-chunk", given.options.chunks.most_chunk);
  app.add_option("--attempts", given.options.retry.attempts);
  app.add_option("--first-pause", given.first_pause_ms, "milliseconds");
  app.add_option("--stall-seconds", given.stall_seconds);
  app.add_option("--sync-seconds", given.sync_seconds);
  app.add_option("--steal-seconds", given.options.chunks.steal_seconds);
  app.add_option("--limit", given.options.bytes_per_second, "bytes per second");
  app.add_flag("--progress", given.shows_progress);
  CLI11_PARSE(app, argc, argv);
  try {
    download(given);
    return 0;
  } catch (const Error& error) {
    print({{"error", error.what()}, {"code", error_name(error.code())}});
    return 1;
  }
}

}  // namespace
}  // namespace omg

int main(int argc, char** argv) {
  return omg::main(argc, argv);
}

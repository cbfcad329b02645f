// SPDX-License-Identifier: Apache-2.0
//
// Downloads one file, for tests of transfers from outside: they kill it, starve it and count what
// the server was asked. transfer_tool --help lists the options. Prints a line of JSON for each
// progress report with --progress, and one at the end: {"sha256":…,"fetched":…,"shared":…}, or
// {"error":…} with exit code 1.
#include <cstdio>
#include <random>
#include <string>

#include "base/json.h"
#include "clients/cli/arguments.h"
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
  cli::Arguments arguments("transfer_tool", "Downloads one file");
  constexpr cli::Range kCount = {0, int64_t{1} << 62};
  constexpr cli::Range kTime = {0, 1'000'000};
  TransferOptions& options = given.options;
  arguments.option("--url URL", given.file.url, "From where").required();
  arguments.number("--size N", given.file.size, kCount, "Bytes").required();
  arguments.option("--to PATH", given.target, "To where").required();
  arguments.option("--sha256 HEX", given.sha256, "What the bytes must hash to");
  arguments.option("--etag TAG", given.file.etag, "The version");
  arguments.option("--authorization TEXT", given.file.authorization, "The header");
  arguments.number("--workers N", options.chunks.workers, {1, 64}, "Connections");
  arguments.number("--most-chunk N", options.chunks.most_chunk, kCount, "Bytes");
  arguments.number("--attempts N", options.retry.attempts, kTime, "Until it gives up");
  arguments.number("--first-pause N", given.first_pause_ms, kTime, "Milliseconds");
  arguments.number("--stall-seconds N", given.stall_seconds, kTime, "Until a connection is dead");
  arguments.number("--sync-seconds N", given.sync_seconds, kTime, "Between syncs");
  arguments.number("--steal-seconds N", options.chunks.steal_seconds, kTime, "Worth taking over");
  arguments.number("--limit N", options.bytes_per_second, kCount, "Bytes a second");
  arguments.flag("--progress", given.shows_progress, "Print it");
  try {
    if (arguments.parse({argv + 1, argv + argc})) {
      download(given);
    } else {
      std::fputs(arguments.help().c_str(), stdout);
    }
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

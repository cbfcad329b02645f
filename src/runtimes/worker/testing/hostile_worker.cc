// SPDX-License-Identifier: Apache-2.0
#include "runtimes/worker/testing/hostile_worker.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/file_system.h"
#include "runtimes/worker/serve_worker.h"
#include "runtimes/worker/testing/fake_model.h"
#include "runtimes/worker/wire.h"
#include "runtimes/worker/worker_model.h"

namespace omg::testing {
namespace {

using namespace std::string_literals;

constexpr int kSocket = 3;

/// "name ok" or "name errno".
std::string outcome(const char* name, bool worked) {
  const int why = errno;
  return std::string(name) + " " + (worked ? "ok" : ::strerrorname_np(why)) + "\n";
}

/// What a process that was taken over would try.
std::string try_everything() {
  std::string text;
  text += outcome("open", ::open("/etc/passwd", O_RDONLY) >= 0);
  text += outcome("create", ::open("/tmp/omg_escaped", O_CREAT | O_WRONLY, 0600) >= 0);
  text += outcome("stat", ::access("/etc/passwd", F_OK) == 0);
  text += outcome("unlink", ::unlink("/tmp/omg_nothing") == 0);
  text += outcome("socket", ::socket(AF_INET, SOCK_STREAM, 0) >= 0);
  text += outcome("socketpair", [] {
    int pair[2];
    return ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
  }());
  char* const arguments[] = {nullptr};
  text += outcome("execve", ::execve("/bin/true", arguments, arguments) == 0);
  const pid_t child = ::fork();
  const int why = errno;
  if (child == 0) ::_exit(0);
  errno = why;
  text += outcome("fork", child >= 0);
  text += outcome("vfork", ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0) > 0);
  text += outcome("ptrace", ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
  text += outcome("kill", ::kill(::getppid(), 0) == 0);
  text += outcome("signal", ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0) == 0);
  text += outcome("run", ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  text += outcome("memory", page != MAP_FAILED);
  text += outcome("make_run", ::mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
  int sum = 0;
  std::thread([&sum] {
    std::vector<int> numbers(1 << 20, 1);
    for (const int number : numbers) sum += number;
  }).join();
  text += outcome("thread", sum == 1 << 20);
  return text;
}

/// What it may do with the file that was opened for it.
std::string try_storage(const PrefixStorage& storage) {
  const auto try_write = [&](const char* name, uint64_t offset) {
    try {
      const std::array<std::byte, 4> bytes{std::byte{'k'}, std::byte{'e'}, std::byte{'p'},
                                           std::byte{'t'}};
      storage.file->write_at(offset, bytes);
      return std::string(name) + " ok\n";
    } catch (const Error& error) {
      return std::string(name) + " refused\n";
    }
  };
  if (!storage.file) return "storage none\n";
  return try_write("inside", storage.max_bytes - 4) + try_write("beyond", storage.max_bytes);
}

/// A worker that makes its model from a path: "fake:STEP_MICROSECONDS" or one of the cases here.
std::unique_ptr<Model> make_model(const ModelLoadOptions& options,
                                  const std::function<void(float)>& on_progress) {
  const std::string& path = options.path;
  if (path == "fake:refuses") throw Error(ErrorCode::kCorrupt, "the file is damaged: on purpose");
  if (path == "fake:dies") {
    std::fputs("about to die\n", stderr);
    ::kill(::getpid(), SIGKILL);
  }
  for (float share = 0; path == "fake:endless"; share = std::min(share + 0.01F, 0.99F)) {
    on_progress(share);  // and never sleeps: a loading thread computes
  }
  on_progress(0.5F);
  on_progress(1);
  std::string at_load;
  if (path == "fake:probe" || path == "fake:sandbox") {
    at_load += outcome("read", ::open("/etc/passwd", O_RDONLY) >= 0);
    at_load += outcome("write", ::open("/tmp/omg_escaped", O_CREAT | O_WRONLY, 0600) >= 0);
    ::unlink("/tmp/omg_escaped");
  }
  if (path == "fake:sandbox") {
    char* const arguments[] = {nullptr};
    at_load += outcome("execve", ::execve("/bin/true", arguments, arguments) == 0);
  }
  const int step = std::atoi(path.c_str() + 5);  // 0 for words
  const auto special =
      [at_load, storage = options.prefix_storage](const std::string& prompt) -> std::string {
    if (prompt == "store") return try_storage(storage);
    if (prompt == "escape at load") return at_load;
    if (prompt == "escape") return try_everything();
    if (prompt == "print") {
      for (int i = 0; i < 3; ++i) std::fprintf(stderr, "line %d\n", i);
      std::printf("\x1b[31mto standard output\n");
      return "printed";
    }
    if (prompt == "environment") {
      const char* secret = std::getenv("HF_TOKEN");
      const char* kept = std::getenv("OMG_TEST_VARIABLE");
      return std::string(secret ? secret : "none") + " " + (kept ? kept : "none");
    }
    if (prompt == "descriptors") {
      std::string open;
      for (int fd = 0; fd < 100; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) open += std::to_string(fd) + " ";
      }
      return open;
    }
    return "";
  };
  return std::make_unique<FakeModel>(std::chrono::microseconds(step), special);
}

void say(const std::string& bytes) {
  if (::send(kSocket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) ::_exit(9);
}

template <class T>
std::string framed(FrameType type, uint64_t id, const T& content) {
  std::string bytes;
  put_frame(bytes, type, id, content, kLimitsFromWorker);
  return bytes;
}

WorkerReady ready() {
  WorkerReady ready;
  ready.facts.family = "hostile";
  return ready;
}

/// Says something bad when the first answer is asked for; then waits for what comes of it.
[[noreturn]] void be_hostile(const std::string& how) {
  FrameReader reader(kLimitsToWorker);
  const auto next = [&](FrameType wanted) {
    for (Frame frame;;) {
      while (reader.next(frame)) {
        if (frame.type == wanted) return frame.id;
      }
      const ssize_t count = ::recv(kSocket, reader.room(4096), 4096, 0);
      if (count <= 0) ::_exit(0);
      reader.filled(static_cast<size_t>(count));
    }
  };
  next(FrameType::kLoad);
  if (how == "noise at load") say("HTTP/1.1 200 OK\r\n\r\n........");
  if (how == "shut at load") ::shutdown(kSocket, SHUT_RDWR);
  say(framed(FrameType::kReady, 0, ready()));
  if (how == "deaf") {
    while (true) ::pause();
  }
  const uint64_t id = next(FrameType::kAnswer);
  AnswerPiece piece;
  piece.text = "first";
  say(framed(FrameType::kPiece, id, piece));
  std::string pong;
  put_frame(pong, FrameType::kPong, 0);
  if (how == "magic") say(std::string(24, 'x'));
  if (how == "type") say(framed(FrameType::kAnswer, id, "x"s));
  if (how == "length") {
    pong[20] = 1;  // 4 GiB
    say(pong);
  }
  if (how == "nobody's piece") say(framed(FrameType::kPiece, id + 1, piece));
  if (how == "nobody's end") say(framed(FrameType::kEnd, id + 1, AnswerEnd()));
  if (how == "nobody's reply") say(framed(FrameType::kTokens, id, std::vector<int32_t>{1}));
  if (how == "nobody's failure") say(framed(FrameType::kFailed, id, Failure()));
  if (how == "ready twice") say(framed(FrameType::kReady, 0, ready()));
  if (how == "failed when ready") say(framed(FrameType::kFailed, 0, Failure()));
  if (how == "cut content") say(framed(FrameType::kPiece, id, "\xff\xff"s));
  if (how == "two ends") {
    say(framed(FrameType::kEnd, id, AnswerEnd()) + framed(FrameType::kEnd, id, AnswerEnd()));
  }
  piece.text = "\xff";
  if (how == "not UTF-8") say(framed(FrameType::kPiece, id, piece));
  if (how == "half a frame") {
    say(pong.substr(0, 10));
    ::_exit(5);
  }
  if (how == "wrong reply") {
    const uint64_t call = next(FrameType::kTokenize);
    say(framed(FrameType::kBytes, call, "text"s));
  }
  while (true) ::pause();
}

/// The path that the daemon wants loaded, without taking the frame from the socket.
std::string wanted_path() {
  std::vector<char> bytes(65536);
  while (true) {
    const ssize_t count = ::recv(kSocket, bytes.data(), bytes.size(), MSG_PEEK);
    if (count <= 0) ::_exit(0);
    FrameReader reader(kLimitsToWorker);
    reader.feed({bytes.data(), static_cast<size_t>(count)});
    Frame frame;
    if (reader.next(frame)) return take_content<LoadCall>(frame).options.path;
  }
}

/// A daemon for tests of its end: starts a worker, says its number, and waits to be killed.
[[noreturn]] void be_daemon(const std::string& path) {
  WorkerOptions options;
  options.load.path = path;
  const auto tell = [](pid_t pid) {
    std::printf("%d\n", pid);
    std::fflush(stdout);
  };
  options.on_progress = [&, told = false](float share) mutable {
    if (path != "fake:endless" || share < 0.1F || told) return;
    told = true;
    // The only child that there is.
    std::string text = "/proc/self/task/" + std::to_string(::gettid()) + "/children";
    FILE* file = std::fopen(text.c_str(), "r");
    int pid = 0;
    if (file != nullptr && std::fscanf(file, "%d", &pid) == 1) tell(pid);
    if (file != nullptr) std::fclose(file);
  };
  const std::unique_ptr<WorkerModel> model = start_worker(std::move(options));
  AnswerRequest request;
  request.prompt = TextPrompt{"busy"};
  model->answer(std::move(request), {});
  tell(model->pid());
  while (true) ::pause();
}

}  // namespace

void become_worker(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  if (role == "daemon") be_daemon(argv[2]);
  if (role != "worker" || argc != 6) return;
  const pid_t parent = std::atoi(argv[5]);
  if (parent == ::getppid()) {
    const std::string path = wanted_path();
    if (path.starts_with("hostile:")) be_hostile(path.substr(8));
  }
  serve_worker({kSocket, parent}, make_model);
}

}  // namespace omg::testing

// SPDX-License-Identifier: Apache-2.0
//
// From inside: what a worker that was taken over can still do.
#include "runtimes/worker/sandbox.h"

#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

#include "base/testing/temporary_folder.h"
#include "runtimes/worker/worker_model.h"

namespace omg {
namespace {

std::map<std::string, std::string> outcomes(Model& model, const std::string& prompt) {
  std::promise<void> ended;
  std::string text;
  AnswerRequest request;
  request.prompt = TextPrompt{prompt};
  model.answer(std::move(request), {[&](AnswerPiece&& piece) { text += piece.text; },
                                    [&](const Error*, const AnswerResult&) { ended.set_value(); }});
  ended.get_future().wait();
  std::map<std::string, std::string> result;
  std::istringstream words(text);
  for (std::string name, outcome; words >> name >> outcome;) result[name] = outcome;
  return result;
}

TEST(SandboxTest, OneWhoIsInsideCanComputeAndNothingElse) {
  if (!no_sandbox_reason().empty()) GTEST_SKIP() << no_sandbox_reason();
  WorkerOptions options;
  options.load.path = "fake:sandbox";
  const auto model = start_worker(std::move(options));
  ASSERT_NE(model->sandbox().find("seccomp"), std::string::npos) << model->sandbox();
  auto got = outcomes(*model, "escape");
  for (const char* name : {"open", "create", "stat", "unlink", "socket", "socketpair", "execve",
                           "fork", "vfork", "ptrace", "kill", "signal", "run", "make_run"}) {
    EXPECT_EQ(got[name], "EPERM") << name;
  }
  EXPECT_EQ(got["memory"], "ok");
  EXPECT_EQ(got["thread"], "ok");
  EXPECT_FALSE(std::filesystem::exists("/tmp/omg_escaped"));
  // It goes on as before.
  EXPECT_EQ(outcomes(*model, "count 4").size(), 2U);
  EXPECT_EQ(model->tokenize("a", {}).size(), 2U);

  auto at_load = outcomes(*model, "escape at load");
  EXPECT_EQ(at_load["read"], "ok");
  if (model->sandbox().find("no landlock") != std::string::npos) {
    GTEST_SKIP() << "this kernel has no Landlock; the rest holds";
  }
  EXPECT_EQ(at_load["write"], "EACCES");
  EXPECT_EQ(at_load["execve"], "EACCES");
}

TEST(SandboxTest, TheFileOfThePrefixStorageIsWrittenAndNothingElse) {
  if (!no_sandbox_reason().empty()) GTEST_SKIP() << no_sandbox_reason();
  const testing::TemporaryFolder folder;
  WorkerOptions options;
  options.load.path = "fake:sandbox";
  options.load.prefix_storage.path = folder / "storage";
  options.load.prefix_storage.max_bytes = 8192;
  const auto other = [&] {
    WorkerOptions again;
    again.load = options.load;
    return start_worker(std::move(again));
  };
  const auto model = other();
  auto got = outcomes(*model, "store");
  EXPECT_EQ(got["inside"], "ok");
  EXPECT_EQ(got["beyond"], "refused");
  got = outcomes(*model, "escape");
  for (const char* name : {"open", "create", "unlink", "socket"}) {
    EXPECT_EQ(got[name], "EPERM") << name;
  }
  EXPECT_EQ(testing::read_test_file(folder / "storage").substr(8188), "kept");
  // It is this worker's alone.
  const auto second = other();
  EXPECT_EQ(outcomes(*second, "store")["storage"], "none");
  EXPECT_EQ(second->facts().prefix_storage.substr(0, 5), "off: ");
}

TEST(SandboxTest, WithoutItThatIsPossible) {
  WorkerOptions options;
  options.load.path = "fake:probe";
  options.sandbox = false;
  const auto model = start_worker(std::move(options));
  EXPECT_EQ(model->sandbox(), "off, as asked");
  // So it is the sandbox that refuses.
  auto at_load = outcomes(*model, "escape at load");
  EXPECT_EQ(at_load["read"], "ok");
  EXPECT_EQ(at_load["write"], "ok");
}

}  // namespace
}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/hub_checks.h"

#include <gtest/gtest.h>

namespace omg::cli::doctor {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

HubState answered(int status) {
  HubState state;
  state.name = "hub";
  state.url = "https://huggingface.co";
  state.lost = "models cannot be brought here";
  state.status = status;
  return state;
}

HubState failed(HttpFailure failure) {
  HubState state = answered(0);
  state.failure = failure;
  state.message = "cannot load https://huggingface.co/api/models: no way there; check the network";
  return state;
}

TEST(CheckHub, AnyAnswerOfItsOwnWillDo) {
  for (const int status : {200, 307, 401, 404, 429}) {
    EXPECT_EQ(check_hub(answered(status)).level, Level::kOk) << status;
  }
  HubState state = answered(200);
  state.proxy = "http://me:secret@proxy:3128";
  EXPECT_EQ(check_hub(state).text,
            "https://huggingface.co answers, through the proxy http://proxy:3128");
}

TEST(CheckHub, RefusalsAreWarnings) {
  EXPECT_EQ(check_hub(answered(503)).level, Level::kWarning);
  EXPECT_TRUE(has(check_hub(answered(503)).text, "answers 503"));
  EXPECT_TRUE(has(check_hub(answered(403)).fix, "HF_ENDPOINT"));
  EXPECT_TRUE(has(check_hub(answered(407)).fix, "USER:PASSWORD"));
  EXPECT_EQ(check_hub(answered(407)).why, "models cannot be brought here");
}

TEST(CheckHub, FailuresSayWhatToDo) {
  const Finding resolve = check_hub(failed(HttpFailure::kResolve));
  EXPECT_EQ(resolve.level, Level::kWarning);
  EXPECT_EQ(resolve.text, "https://huggingface.co cannot be reached: no way there");
  EXPECT_TRUE(has(resolve.fix, "getent hosts huggingface.co"));
  EXPECT_TRUE(has(check_hub(failed(HttpFailure::kConnect)).fix, "curl -I https://huggingface.co"));
  HubState state = failed(HttpFailure::kConnect);
  state.proxy = "http://proxy:3128";
  EXPECT_TRUE(has(check_hub(state).fix, "the proxy http://proxy:3128 is named"));
}

TEST(CheckHub, CertificatesAreNamed) {
  HubState state = failed(HttpFailure::kTls);
  EXPECT_TRUE(has(check_hub(state).fix, "OMG_CA_FILE=/PATH"));
  state.ca_file = "/etc/own.pem";
  EXPECT_TRUE(has(check_hub(state).fix, "names '/etc/own.pem'"));
  state.failure.reset();  // no request could be made at all
  state.message = "cannot read the certificates '/etc/own.pem'";
  EXPECT_EQ(check_hub(state).level, Level::kProblem);
  EXPECT_EQ(check_hub(state).text, state.message);
}

TEST(AskHub, NobodyThereAndAMissingCertificateFile) {
  HubState state = answered(0);
  state.url = "http://127.0.0.1:1";
  ask_hub(state, "/api", HttpClientOptions(), std::chrono::milliseconds(2000));
  EXPECT_EQ(state.failure, HttpFailure::kConnect);
  EXPECT_EQ(state.status, 0);
  HttpClientOptions options;
  options.ca_file = "/nonexistent/ca.pem";
  state = answered(0);
  ask_hub(state, "/api", options, std::chrono::milliseconds(2000));
  EXPECT_FALSE(state.failure);
  EXPECT_TRUE(has(state.message, "/nonexistent/ca.pem"));
}

}  // namespace
}  // namespace omg::cli::doctor

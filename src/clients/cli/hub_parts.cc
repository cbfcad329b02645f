// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/hub_parts.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "base/file_system.h"

namespace omg::cli {

HttpClientOptions hub_client_options(const HubFlags& flags) {
  HttpClientOptions options = HttpClientOptions::from_environment();
  if (!flags.ca_file.empty()) options.ca_file = flags.ca_file;
  options.cancellation = flags.cancellation;
  return options;
}

HubOptions hub_options() {
  HubOptions options;
  options.huggingface = HuggingFaceOptions::from_environment();
  options.catalog = Catalog::load();
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  options.registry.username = variable("OMG_REGISTRY_USER");
  options.registry.password = variable("OMG_REGISTRY_PASSWORD");
  return options;
}

namespace {

TransferOptions transfer_options(const HubFlags& flags) {
  TransferOptions options;
  options.bytes_per_second = flags.bytes_per_second;
  options.seed = std::random_device{}();
  return options;
}

}  // namespace

uint64_t parse_bytes(const std::string& text, const std::string& flag) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  std::string unit(rest, end);
  std::erase(unit, ' ');
  for (const char* suffix : {"/s", "iB", "B", "b"}) {
    if (unit.ends_with(suffix)) unit.resize(unit.size() - std::string(suffix).size());
  }
  const std::string units = "KMGT";
  double factor = 1;
  if (unit.size() == 1) {
    const size_t power = units.find(static_cast<char>(std::toupper(unit[0])));
    factor = power == std::string::npos ? 0 : std::pow(1024.0, double(power + 1));
  } else if (!unit.empty()) {
    factor = 0;
  }
  const double bytes = number * factor;
  if (error != std::errc() || !(bytes >= 1) || bytes > 1e18) {
    throw Error(ErrorCode::kUsage,
                flag + ": '" + text + "' is no number of bytes, such as 500K, 10M or 1.5G");
  }
  return static_cast<uint64_t>(bytes);
}

struct HubParts::Body {
  explicit Body(const HubFlags& flags)
      : client(hub_client_options(flags)),
        hub(client, hub_options()),
        transfers(files, clock, hub_client_options(flags), transfer_options(flags)) {}
  RealFileSystem files;
  SteadyClock clock;
  HttpClient client;
  Hub hub;
  Transfers transfers;
};

HubParts::HubParts(const HubFlags& flags) : body_(std::make_unique<Body>(flags)) {}
HubParts::~HubParts() = default;

Hub& HubParts::hub() {
  return body_->hub;
}
HttpClient& HubParts::client() {
  return body_->client;
}
PullParts HubParts::pull_parts(Store& store) {
  return {store, body_->hub, body_->client, body_->transfers};
}

}  // namespace omg::cli

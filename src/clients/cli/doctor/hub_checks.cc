// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/hub_checks.h"

#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/doctor/system_checks.h"
#include "clients/cli/format.h"
#include "net/url.h"

namespace omg::cli::doctor {
namespace {

int64_t seconds_now() {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch())
      .count();
}

/// Without user and password.
std::string shown_proxy(const std::string& proxy) {
  const size_t at = proxy.rfind('@');
  const size_t scheme = proxy.find("://");
  if (at == std::string::npos) return printable(proxy);
  const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  return printable(proxy.substr(0, begin) + proxy.substr(at + 1));
}

/// The reason in "cannot load URL: reason; advice": the advice here knows more.
std::string reason_of(const std::string& message) {
  size_t begin = message.find(": ");
  begin = begin == std::string::npos ? 0 : begin + 2;
  const size_t end = message.rfind("; ");
  return message.substr(begin, end == std::string::npos || end < begin ? end : end - begin);
}

std::string certificate_fix(const HubState& state) {
  if (!state.ca_file.empty()) {
    return fmt::format(
        "OMG_CA_FILE or SSL_CERT_FILE names '{}': is it the right one? Unset it for "
        "the system's certificates",
        printable(state.ca_file));
  }
  return "if this network has a certificate authority of its own: 'export "
         "OMG_CA_FILE=/PATH/OF/ca.pem'; else install 'ca-certificates', and look at the clock";
}

std::string connection_fix(const HubState& state) {
  if (!state.proxy.empty()) {
    return fmt::format(
        "the proxy {} is named by the environment: is it right? 'unset https_proxy "
        "http_proxy all_proxy' does without",
        shown_proxy(state.proxy));
  }
  const Url url = parse_url(state.url);
  if (state.failure == HttpFailure::kResolve) {
    return fmt::format(
        "look at the network: 'getent hosts {}'; behind a proxy: 'export "
        "https_proxy=http://PROXY:PORT'",
        url.host);
  }
  std::string fix = fmt::format(
      "look at the network: 'curl -I {}'; behind a proxy: 'export https_proxy=http://PROXY:PORT'",
      url.base());
  if (state.name == "hub") fix += "; for a mirror: 'export HF_ENDPOINT=URL'";
  return fix;
}

Finding unreachable(const HubState& state) {
  const std::string text =
      fmt::format("{} cannot be reached: {}", state.url, printable(reason_of(state.message)));
  // Only the transfer fails for other reasons; a request that is never sent is a wrong setting.
  if (!state.failure)
    return problem(state.name, printable(state.message), state.lost, certificate_fix(state));
  if (state.failure == HttpFailure::kTls) {
    return warning(state.name, text, state.lost, certificate_fix(state));
  }
  return warning(state.name, text, state.lost, connection_fix(state));
}

}  // namespace

void ask_hub(HubState& hub, const std::string& path, HttpClientOptions options,
             std::chrono::milliseconds patience) {
  hub.ca_file = options.ca_file;
  try {
    const Url url = parse_url(hub.url);
    hub.proxy = options.proxy.proxy_for(url.scheme, url.host, url.port);
    options.connect_timeout = patience;
    HttpRequest request;
    request.url = hub.url + path;
    request.redirects = HttpRedirects::kReturn;
    request.total_timeout = patience;
    request.on_head = [](const HttpResponse&) { return false; };  // that it answers is enough
    const HttpResponse answer = HttpClient(options).send(request);
    hub.asked_at = seconds_now();
    hub.status = answer.status;
    if (const auto date = answer.headers.find("Date"))
      hub.date = parse_http_date(std::string(*date));
  } catch (const HttpError& error) {
    hub.failure = error.failure();
    hub.message = error.what();
  } catch (const Error& error) {
    hub.message = error.what();
  }
}

Finding check_hub(const HubState& state) {
  if (state.status == 0) return unreachable(state);
  std::string way = state.proxy.empty() ? "" : ", through the proxy " + shown_proxy(state.proxy);
  const std::string text = fmt::format("{} answers {}{}", state.url, state.status, way);
  if (state.status == 407) {
    return warning(state.name, text, state.lost,
                   "the proxy wants a login: 'export https_proxy=http://USER:PASSWORD@PROXY:PORT'");
  }
  if (state.status >= 500) {
    return warning(state.name, text, state.lost,
                   state.proxy.empty() ? "it has trouble of its own: try again later"
                                       : "the proxy or the server behind it has trouble: try "
                                         "again later");
  }
  // An address without rights, or one that is no page: somebody is there all the same.
  if (state.status < 400 || state.status == 401 || state.status == 404 || state.status == 429) {
    return ok(state.name, fmt::format("{} answers{}", state.url, way));
  }
  return warning(
      state.name, text, state.lost,
      "somebody on the way refuses: ask who runs this network, or take a mirror: 'export "
      "HF_ENDPOINT=URL'");
}

}  // namespace omg::cli::doctor

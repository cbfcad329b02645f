// SPDX-License-Identifier: Apache-2.0
#include "daemon/access/access_control.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cmath>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>

namespace omg {
namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);
constexpr size_t kMaxSecretBytes = 4096;

[[noreturn]] void refuse_unknown(bool was_given) {
  throw HttpRefusal(401,
                    was_given ? "this API key is not known here; make one with 'omg keys create', "
                                "or ask who runs this server"
                              : "an API key is needed: send it as 'Authorization: Bearer KEY' or "
                                "'x-api-key: KEY'",
                    {{"WWW-Authenticate", "Bearer realm=\"ohmygpu\""}});
}

[[noreturn]] void refuse_rate(const std::string& why, double wait_seconds) {
  const auto seconds = static_cast<int64_t>(std::ceil(std::clamp(wait_seconds, 1.0, 60.0)));
  throw HttpRefusal(429, why + "; try again in " + std::to_string(seconds) + " s",
                    {{"Retry-After", std::to_string(seconds)}});
}

/// The key that came with a request, or nothing.
std::optional<std::string_view> secret_of(const HttpHeaders& headers) {
  constexpr std::string_view kBearer = "Bearer ";
  const auto authorization = headers.find("Authorization");
  if (authorization && authorization->size() > kBearer.size() &&
      equal_without_case(authorization->substr(0, kBearer.size()), kBearer)) {
    std::string_view secret = authorization->substr(kBearer.size());
    while (secret.starts_with(' ')) secret.remove_prefix(1);
    return secret;
  }
  return headers.find("x-api-key");
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  }
  return false;
}

/// Whether all addresses of a host are this machine's own. A host that there is not is nobody's:
/// who listens there says so.
bool stays_here(std::string host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return true;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    if (!is_loopback(each->ai_addr)) return false;
  }
  return true;
}

}  // namespace

AccessControl::AccessControl(FileSystem& files, AccessOptions options, const Log* log)
    : file_(files, options.key_file), options_(std::move(options)), log_(log) {
  NewApiKey all;
  all.scopes = ScopeSet::all();
  for (const std::string& secret : options_.extra_keys) {
    if (secret.empty()) continue;
    all.name = "configured-" + std::to_string(extra_.size() + 1);
    extra_.push_back(make_api_key(all, secret, 0));
  }
  if (file_.path().empty()) return;
  version_ = file_.version();
  keys_ = file_.read();
  looked_at_ = options_.steady_now ? options_.steady_now() : Clock::now();
}

void AccessControl::reload(Clock::time_point now) {
  if (file_.path().empty() || now - looked_at_ < kLookEvery) return;
  looked_at_ = now;
  try {
    const std::string version = file_.version();
    if (version == version_) return;
    version_ = version;
    keys_ = file_.read();
    std::erase_if(uses_, [&](const auto& use) {
      const auto is_named = [&](const ApiKey& key) { return key.name == use.first; };
      return std::none_of(keys_.begin(), keys_.end(), is_named) &&
             std::none_of(extra_.begin(), extra_.end(), is_named);
    });
  } catch (const Error& error) {  // those that were known go on
    if (log_ != nullptr) log_->write(LogLevel::kError, error.what());
  }
}

bool AccessControl::is_trusted(const HttpServerRequest& head) const {
  if (head.peer.unix_socket) return true;
  if (!head.peer.loopback) return false;
  if (extra_.empty() && keys_.empty()) return true;
  return options_.loopback_open && !head.headers.find("Forwarded") &&
         !head.headers.find("X-Forwarded-For");
}

void AccessControl::admit(const HttpServerRequest& head) {
  const auto needed = needed_scope(head.method, head.route);
  if (!needed) return;
  const auto now = options_.steady_now ? options_.steady_now() : Clock::now();
  const std::lock_guard lock(mutex_);
  reload(now);
  if (is_trusted(head)) return;
  const auto secret = secret_of(head.headers);
  if (!secret || secret->empty() || secret->size() > kMaxSecretBytes) {
    refuse_unknown(secret && !secret->empty());
  }
  const ApiKey* found = nullptr;  // all are compared: the time must not tell which one was near
  for (const std::vector<ApiKey>* list : {&extra_, &keys_}) {
    for (const ApiKey& key : *list) {
      if (key.is_opened_by(*secret)) found = &key;
    }
  }
  if (found == nullptr) refuse_unknown(true);
  if (!found->scopes.has(*needed)) {
    throw HttpRefusal(403, "the API key '" + found->name +
                               "' may not do this: it lacks the scope " +
                               std::string(scope_name(*needed)) + "; use another key");
  }
  count(*found, head, now);
}

void AccessControl::count(const ApiKey& key, const HttpServerRequest& head, Clock::time_point now) {
  Use& use = uses_[key.name];
  if (key.concurrent > 0) {
    std::erase_if(use.under_way, [](const auto& token) { return token.is_cancelled(); });
    if (use.under_way.size() >= key.concurrent) {
      refuse_rate("the API key '" + key.name + "' may have " + std::to_string(key.concurrent) +
                      " requests at once, and has them",
                  1);
    }
  }
  if (key.requests_per_minute > 0) {
    const double most = key.requests_per_minute;
    const double per_second = most / 60;
    if (use.filled_at) {
      const std::chrono::duration<double> passed = now - *use.filled_at;
      use.allowance = std::min(most, use.allowance + passed.count() * per_second);
    } else {
      use.allowance = most;
    }
    use.filled_at = now;
    if (use.allowance < 1) {
      refuse_rate("the API key '" + key.name + "' may ask " +
                      std::to_string(key.requests_per_minute) + " times a minute, and has",
                  (1 - use.allowance) / per_second);
    }
    use.allowance -= 1;
  }
  if (key.concurrent > 0) use.under_way.push_back(head.cancellation);
  ++use.requests;
  use.last_used = options_.unix_now ? options_.unix_now()
                                    : std::chrono::duration_cast<std::chrono::seconds>(
                                          std::chrono::system_clock::now().time_since_epoch())
                                          .count();
}

bool AccessControl::has_keys() const {
  const std::lock_guard lock(mutex_);
  return !extra_.empty() || !keys_.empty();
}

std::vector<AccessControl::KeyUse> AccessControl::keys() const {
  const std::lock_guard lock(mutex_);
  std::vector<KeyUse> result;
  for (const std::vector<ApiKey>* list : {&extra_, &keys_}) {
    for (const ApiKey& key : *list) {
      KeyUse entry{key, std::nullopt, 0};
      if (const auto use = uses_.find(key.name); use != uses_.end()) {
        entry.last_used = use->second.last_used;
        entry.requests = use->second.requests;
      }
      result.push_back(std::move(entry));
    }
  }
  return result;
}

void check_bind(std::span<const HttpEndpoint> endpoints, const AccessControl& access) {
  if (access.has_keys()) return;
  for (const HttpEndpoint& endpoint : endpoints) {
    if (!endpoint.unix_path.empty() || stays_here(endpoint.host)) continue;
    throw Error(ErrorCode::kInvalidArgument,
                "refusing to listen on " + endpoint.text() +
                    ": others could reach it, and there is no API key; make one with 'omg keys "
                    "create NAME', set OMG_API_KEY, or listen on 127.0.0.1");
  }
}

}  // namespace omg

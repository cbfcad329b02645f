// SPDX-License-Identifier: Apache-2.0
//
// Joins the loop, the connections and the handlers' threads, and takes them apart in the right
// order.
#include "net/server/http_server.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/json.h"
#include "net/server/connection.h"
#include "net/server/socket_loop.h"

namespace omg {
namespace {

// Connections beyond the limit that are still told so (503); the others are just closed.
constexpr size_t kToldSo = 64;

/// Threads that are started as they are needed and stay.
class HandlerPool {
 public:
  explicit HandlerPool(size_t max_threads) : max_threads_(std::max<size_t>(1, max_threads)) {}
  ~HandlerPool() { join(); }
  HandlerPool(const HandlerPool&) = delete;
  HandlerPool& operator=(const HandlerPool&) = delete;

  void run(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      if (tasks_.size() > idle_ && threads_.size() < max_threads_ && !stopping_) {
        threads_.emplace_back([this] { work(); });
      }
    }
    wanted_.notify_one();
  }

  /// Does what is waiting, and ends.
  void join() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      wanted_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
      --idle_;
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds may do something when it goes
      lock.lock();
    }
  }

  const size_t max_threads_;
  std::mutex mutex_;  // guards all below
  std::condition_variable wanted_;
  std::deque<std::function<void()>> tasks_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

HttpAnswer plain_problem(const HttpProblem& problem) {
  HttpAnswer answer;
  answer.content_type = "application/json";
  answer.body = json::serialize(json::object{{"error", problem.message}});
  return answer;
}

HttpServerOptions completed(HttpServerOptions options) {
  if (!options.problem_answer) options.problem_answer = plain_problem;
  if (options.endpoints.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "a server needs an address to listen on");
  }
  return options;
}

}  // namespace

std::string HttpEndpoint::text() const {
  if (!unix_path.empty()) return unix_path;
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, HttpRouter router)
      : options_(completed(std::move(options))),
        router_(std::move(router)),
        context_{options_, router_, AccessCheck(options_.access),
                 [this](std::function<void()> task) { pool_.run(std::move(task)); }},
        pool_(options_.max_handler_threads),
        loop_(options_),
        endpoints_(loop_.endpoints()) {
    loop_.run([this](std::unique_ptr<Transport> transport, HttpPeer peer) {
      accept(std::move(transport), std::move(peer));
    });
  }

  ~Impl() { stop(std::chrono::milliseconds(0)); }

  const std::vector<HttpEndpoint>& endpoints() const { return endpoints_; }

  size_t connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }

  void stop(std::chrono::milliseconds grace) {
    const std::lock_guard one_at_a_time(stop_mutex_);
    if (stopped_) return;
    stopped_ = true;
    context_.stopping = true;
    loop_.stop_accepting();
    each_connection([](Connection& connection) { connection.stop_soon(); });
    {
      std::unique_lock lock(mutex_);
      emptied_.wait_for(lock, grace, [&] { return connections_.empty(); });
    }
    each_connection([](Connection& connection) { connection.cut(); });
    {
      std::unique_lock lock(mutex_);
      emptied_.wait(lock, [&] { return connections_.empty(); });
    }
    pool_.join();  // may still post to the loop
    loop_.stop();
  }

 private:
  void accept(std::unique_ptr<Transport> transport, HttpPeer peer) {
    std::shared_ptr<Connection> connection;
    {
      const std::lock_guard lock(mutex_);
      const HttpServerLimits& limits = options_.limits;
      const auto known = peers_.find(peer.address);
      const size_t of_peer = known == peers_.end() ? 0 : known->second;
      const bool refused = connections_.size() >= limits.max_connections ||
                           of_peer >= limits.max_connections_per_peer;
      if (connections_.size() >= limits.max_connections + kToldSo ||
          of_peer >= limits.max_connections_per_peer + kToldSo) {
        return;  // the transport closes the socket
      }
      ++peers_[peer.address];
      const uint64_t number = ++last_connection_;
      auto on_closed = [this, number, address = peer.address] { remove(number, address); };
      connection = std::make_shared<Connection>(context_, std::move(transport), std::move(peer),
                                                std::move(on_closed));
      if (refused) connection->refuse_at_start();
      connections_.emplace(number, connection);
    }
    connection->start();
  }

  void remove(uint64_t number, const std::string& address) {
    const std::lock_guard lock(mutex_);
    connections_.erase(number);
    if (const auto peer = peers_.find(address); --peer->second == 0) peers_.erase(peer);
    if (connections_.empty()) emptied_.notify_all();
  }

  void each_connection(const std::function<void(Connection&)>& call) {
    std::vector<std::shared_ptr<Connection>> all;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [number, connection] : connections_) all.push_back(connection);
    }
    for (const auto& connection : all) call(*connection);
  }

  const HttpServerOptions options_;
  const HttpRouter router_;
  ServerContext context_;
  mutable std::mutex mutex_;  // guards the four below
  std::condition_variable emptied_;
  std::map<uint64_t, std::shared_ptr<Connection>> connections_;  // in the order they came
  std::map<std::string, size_t> peers_;                          // how many connections of each
  uint64_t last_connection_ = 0;
  std::mutex stop_mutex_;
  bool stopped_ = false;
  HandlerPool pool_;
  SocketLoop loop_;
  std::vector<HttpEndpoint> endpoints_;
};

HttpServer::HttpServer(HttpServerOptions options, HttpRouter router)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(router))) {}
HttpServer::~HttpServer() = default;
std::vector<HttpEndpoint> HttpServer::endpoints() const {
  return impl_->endpoints();
}
size_t HttpServer::connections() const {
  return impl_->connections();
}
void HttpServer::stop(std::chrono::milliseconds grace) {
  impl_->stop(grace);
}

}  // namespace omg

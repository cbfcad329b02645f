// SPDX-License-Identifier: Apache-2.0
//
// Sockets, timers and TLS of Boost.Asio, each connection on a strand of its own. Connections are
// accepted by hand: Asio's accept leaves descriptors open for programs that the daemon starts.
#include "net/server/socket_loop.h"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <thread>

#include "net/server/listening_socket.h"

namespace omg {
namespace {

namespace asio = boost::asio;
using SystemError = boost::system::error_code;
using Strand = asio::strand<asio::io_context::executor_type>;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Strand>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Strand>;
using TlsStream = asio::ssl::stream<Socket>;

constexpr int kAcceptAtOnce = 32;
constexpr std::chrono::milliseconds kAcceptPause{100};  // where descriptors have run out

template <typename Stream>
class AsioTransport final : public Transport {
 public:
  template <typename... Arguments>
  AsioTransport(std::chrono::milliseconds handshake_timeout, Arguments&&... arguments)
      : stream_(std::forward<Arguments>(arguments)...),
        timer_(stream_.get_executor()),
        handshake_timeout_(handshake_timeout) {}

  void start(std::shared_ptr<TransportEvents> events) override {
    events_ = events;
    asio::post(stream_.get_executor(), [this, events] { open(events); });
  }

  void read(std::span<char> room) override {
    stream_.async_read_some(asio::buffer(room.data(), room.size()),
                            [events = events_.lock()](const SystemError& error, size_t size) {
                              if (!error) {
                                events->on_read(size);
                              } else {
                                events->on_read_end(!is_orderly_end(error));
                              }
                            });
  }

  void write(std::string_view bytes) override {
    asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()),
                      [events = events_.lock()](const SystemError& error, size_t) {
                        events->on_written(!error);
                      });
  }

  size_t write_now(std::string_view bytes) override {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      return 0;  // its state belongs to the strand
    } else {
      const ssize_t sent =
          ::send(stream_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      return sent > 0 ? static_cast<size_t>(sent) : 0;  // an error is met again by write()
    }
  }

  void wake_at(std::chrono::steady_clock::time_point time) override {
    timer_.expires_at(time);
    timer_.async_wait([events = events_](const SystemError& error) {
      if (error) return;  // set anew
      if (const auto alive = events.lock()) alive->on_timer();
    });
  }

  void post(std::function<void()> task) override {
    asio::post(stream_.get_executor(), std::move(task));
  }

  bool peer_has_closed() override {
    pollfd state = {socket().native_handle(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  void finish_writing() override {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_shutdown([events = events_.lock()](const SystemError&) {});
    } else {
      SystemError ignored;
      stream_.shutdown(Socket::shutdown_send, ignored);
    }
  }

  void close() override {
    SystemError ignored;
    timer_.cancel(ignored);
    socket().close(ignored);
  }

 private:
  Socket& socket() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  static bool is_orderly_end(const SystemError& error) {
    // Many clients close TLS without its goodbye; lengths say whether a message was whole.
    return error == asio::error::eof || error == asio::ssl::error::stream_truncated;
  }

  void open(const std::shared_ptr<TransportEvents>& events) {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      timer_.expires_after(handshake_timeout_);
      timer_.async_wait([this, alive = events_](const SystemError& error) {
        if (!error && alive.lock()) socket().close();
      });
      stream_.async_handshake(TlsStream::server, [this, events](const SystemError& error) {
        timer_.cancel();
        if (error) {
          events->on_read_end(true);
        } else {
          events->on_open();
        }
      });
    } else {
      events->on_open();
    }
  }

  Stream stream_;
  Timer timer_;
  std::chrono::milliseconds handshake_timeout_;
  std::weak_ptr<TransportEvents> events_;
};

asio::ssl::context make_tls_context(const HttpTls& tls) {
  asio::ssl::context context(asio::ssl::context::tls_server);
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                      asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1);
  const auto check = [](const SystemError& error, const std::string& what,
                        const std::string& file) {
    if (!error) return;
    throw Error(ErrorCode::kNotFound, "cannot read the " + what + " " + file + ": " +
                                          error.message() + "; it must be a PEM file");
  };
  SystemError error;
  context.use_certificate_chain_file(tls.certificate_file, error);
  check(error, "certificate", tls.certificate_file);
  context.use_private_key_file(tls.key_file, asio::ssl::context::pem, error);
  check(error, "certificate's key", tls.key_file);
  return context;
}

HttpPeer peer_of(const sockaddr_storage& place) {
  HttpPeer peer;
  char text[INET6_ADDRSTRLEN] = {};
  if (place.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(place);
    ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    peer.port = ntohs(address.sin_port);
    peer.loopback = ntohl(address.sin_addr.s_addr) >> 24 == 127;
  } else if (place.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(place);
    ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    peer.port = ntohs(address.sin6_port);
    peer.loopback =
        IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) ||
        (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) && address.sin6_addr.s6_addr[12] == 127);
  } else {
    peer.unix_socket = peer.loopback = true;
  }
  peer.address = text;
  return peer;
}

}  // namespace

class SocketLoop::Impl {
 public:
  explicit Impl(const HttpServerOptions& options) : options_(options), io_(thread_count(options)) {
    if (options.tls) tls_.emplace(make_tls_context(*options.tls));
    for (const HttpEndpoint& endpoint : options.endpoints) {
      for (auto& socket : listen_at(endpoint))
        listeners_.push_back(make_listener(std::move(socket)));
    }
  }

  ~Impl() { stop(); }

  std::vector<HttpEndpoint> endpoints() const {
    std::vector<HttpEndpoint> result;
    for (const auto& listener : listeners_) result.push_back(listener->socket->endpoint());
    return result;
  }

  void run(Accept accept) {
    accept_ = std::move(accept);
    for (const auto& listener : listeners_) {
      asio::post(strand_, [this, each = listener.get()] { wait(*each); });
    }
    for (int i = 0; i < thread_count(options_); ++i) {
      threads_.emplace_back([this] { io_.run(); });
    }
  }

  void stop_accepting() {
    if (threads_.empty()) return;
    std::promise<void> done;
    asio::post(strand_, [this, &done] {
      stopping_ = true;
      for (const auto& listener : listeners_) {
        SystemError ignored;
        listener->descriptor.cancel(ignored);
        listener->descriptor.release();  // the socket itself belongs to ListeningSocket
        listener->pause.cancel();
      }
      // New connections are refused from here on, and the path of a Unix socket is free.
      for (const auto& listener : listeners_) listener->socket.reset();
      done.set_value();
    });
    done.get_future().wait();
  }

  void stop() {
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  struct Listener {
    std::unique_ptr<ListeningSocket> socket;
    asio::posix::basic_stream_descriptor<Strand> descriptor;
    Timer pause;
  };

  static int thread_count(const HttpServerOptions& options) {
    return static_cast<int>(std::max(1u, options.io_threads));
  }

  std::unique_ptr<Listener> make_listener(std::unique_ptr<ListeningSocket> socket) {
    const int descriptor = socket->descriptor();
    return std::unique_ptr<Listener>(
        new Listener{std::move(socket), {strand_, descriptor}, Timer(strand_)});
  }

  void wait(Listener& listener) {
    if (stopping_) return;
    listener.descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                   [this, &listener](const SystemError& error) {
                                     if (!error && !stopping_) accept_some(listener);
                                   });
  }

  void accept_some(Listener& listener) {
    for (int i = 0; i < kAcceptAtOnce; ++i) {
      sockaddr_storage place{};
      socklen_t size = sizeof place;
      const int descriptor =
          ::accept4(listener.socket->descriptor(), reinterpret_cast<sockaddr*>(&place), &size,
                    SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (descriptor >= 0) {
        admit(descriptor, place, !listener.socket->endpoint().unix_path.empty());
        continue;
      }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        listener.pause.expires_after(kAcceptPause);
        listener.pause.async_wait([this, &listener](const SystemError&) { wait(listener); });
        return;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    }
    wait(listener);
  }

  void admit(int descriptor, sockaddr_storage& place, bool is_unix) {
    if (is_unix) place.ss_family = AF_UNIX;
    const int yes = 1;
    if (!is_unix) ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (const int bytes = options_.limits.kernel_send_buffer_bytes; bytes > 0) {
      ::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    HttpPeer peer = peer_of(place);
    Socket socket(asio::make_strand(io_));
    SystemError error;
    socket.assign(asio::generic::stream_protocol(place.ss_family, 0), descriptor, error);
    if (error) {
      ::close(descriptor);
      return;
    }
    const auto timeout = options_.limits.header_timeout;
    std::unique_ptr<Transport> transport;
    if (tls_ && !is_unix) {
      peer.encrypted = true;
      transport = std::make_unique<AsioTransport<TlsStream>>(timeout, std::move(socket), *tls_);
    } else {
      transport = std::make_unique<AsioTransport<Socket>>(timeout, std::move(socket));
    }
    accept_(std::move(transport), std::move(peer));
  }

  const HttpServerOptions& options_;
  std::optional<asio::ssl::context> tls_;
  asio::io_context io_;
  Strand strand_{asio::make_strand(io_)};  // of all listeners
  std::vector<std::unique_ptr<Listener>> listeners_;
  Accept accept_;
  bool stopping_ = false;  // on the strand
  std::vector<std::thread> threads_;
};

SocketLoop::SocketLoop(const HttpServerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
SocketLoop::~SocketLoop() = default;
std::vector<HttpEndpoint> SocketLoop::endpoints() const {
  return impl_->endpoints();
}
void SocketLoop::run(Accept accept) {
  impl_->run(std::move(accept));
}
void SocketLoop::stop_accepting() {
  impl_->stop_accepting();
}
void SocketLoop::stop() {
  impl_->stop();
}

}  // namespace omg

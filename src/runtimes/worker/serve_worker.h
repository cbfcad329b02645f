// SPDX-License-Identifier: Apache-2.0
//
// The worker's side: a process that loads one model, gives up all else, and answers what comes over
// a socket until it is told to stop or its parent is gone.
#pragma once

#include <functional>
#include <memory>
#include <sys/types.h>

#include "runtimes/model.h"

namespace omg {

/// Makes the model. `on_progress` takes shares from 0 to 1. Throws Error.
using WorkerModelFactory = std::function<std::unique_ptr<Model>(
    const ModelLoadOptions& options, const std::function<void(float)>& on_progress)>;

struct ServeOptions {
  int fd = 3;        // a connected stream socket
  pid_t parent = 0;  // who started it; 0: whoever it is
};

/// The whole life of a worker's process; call it first in main(), before any thread. Exit codes: 0
/// stopped, or the parent is gone; 1 the model could not be loaded (the parent knows why); 2 what
/// came is no request.
[[noreturn]] void serve_worker(const ServeOptions& options, const WorkerModelFactory& factory);

}  // namespace omg

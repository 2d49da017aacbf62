//===- MpiLibrary.cpp - Opens the library for MPI -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/ProcessGroup.h"

#include <cstring>
#include <dlfcn.h>
#include <filesystem>

using namespace moe;
namespace fs = std::filesystem;

static constexpr char kFileName[] = "libmoe_mpi.so";

ProcessGroup::~ProcessGroup() = default;

/// Folders in which the library may lie.
static std::vector<fs::path> libraryFolders() {
  std::vector<fs::path> folders;
  auto addAround = [&](const fs::path &file) {
    fs::path folder = file.parent_path();
    for (const fs::path &candidate :
         {folder, folder / ".." / MOE_INSTALL_LIBDIR, folder / ".." / "bin"})
      folders.push_back(candidate.lexically_normal());
  };
  std::error_code error;
  if (fs::path program = fs::read_symlink("/proc/self/exe", error); !error)
    addAround(program);
  // This code may be part of a library of another program.
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&libraryFolders), &info) &&
      info.dli_fname)
    if (fs::path file = fs::canonical(info.dli_fname, error); !error)
      addAround(file);
  return folders;
}

static Status missing(const std::string &what) {
  return Status(StatusCode::Unsupported,
                "ranks as processes need " + std::string(kFileName) +
                    " and Open MPI (Debian: libopenmpi-dev to build, "
                    "openmpi-bin to run): " +
                    what);
}

// The plugins of MPI libraries look for their symbols in the whole program.
static StatusOr<void *> openLibrary() {
  std::string looked;
  for (const fs::path &folder : libraryFolders()) {
    std::error_code error;
    fs::path file = folder / kFileName;
    if (!fs::exists(file, error)) {
      looked += (looked.empty() ? "" : ", ") + folder.string();
      continue;
    }
    if (void *library = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL))
      return library;
    return missing(dlerror());
  }
  if (void *library = dlopen(kFileName, RTLD_NOW | RTLD_GLOBAL))
    return library;
  return missing(std::string(dlerror()) + " (looked in " + looked +
                 " and where the system does)");
}

StatusOr<std::shared_ptr<ProcessGroup>>
moe::openMpiProcesses(const ProcessOptions &options) {
  MOE_ASSIGN_OR_RETURN(void *library, openLibrary());
  using Entry = const ProcessLibrary *();
  auto *entry =
      reinterpret_cast<Entry *>(dlsym(library, kProcessLibrarySymbol));
  if (!entry)
    return missing(dlerror());
  const ProcessLibrary *shown = entry();
  if (std::strcmp(shown->version, kProcessLibraryVersion) != 0)
    return Status(StatusCode::Unsupported,
                  std::string(kFileName) + " has interface " + shown->version +
                      ", expected " + kProcessLibraryVersion);
  return shown->open(options);
}

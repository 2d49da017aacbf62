# Helpers shared by all folders.
#
# moe_add_library(Name SOURCES a.cpp ... LINK Other ...)
#   A static library moe::Name of the runtime half: no LLVM, no protobuf.
# moe_add_mlir_library(Name SOURCES ... LINK ... DEPENDS IncGen ...)
#   The same with MLIR's headers and flags.
# moe_add_unit_test(Name SOURCES ... LINK ... [LABELS ...])
#   A GoogleTest program, registered with CTest under its own name.

set(MOE_WARNINGS -Wall -Wextra -Wno-unused-parameter
                 -Wno-missing-field-initializers)

function(moe_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  add_library(moe::${name} ALIAS ${name})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>)
  target_compile_options(${name} PRIVATE ${MOE_WARNINGS} -fvisibility=hidden)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

function(moe_add_mlir_library name)
  moe_add_library(${name} ${ARGN})
  moe_use_mlir(${name})
endfunction()

# MLIR's headers as system headers, LLVM's flags (no RTTI change: Debian builds
# with RTTI, without exceptions), and the two shared libraries.
function(moe_use_mlir name)
  target_include_directories(${name} SYSTEM PUBLIC
    ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  separate_arguments(definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
  target_compile_definitions(${name} PUBLIC ${definitions})
  # libMLIR is built with Clang; see the header.
  target_compile_options(${name} PUBLIC
    "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:SHELL:-include ${PROJECT_SOURCE_DIR}/cmake/GccTypeIds.h>")
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()

function(moe_add_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${MOE_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test)
  target_compile_definitions(${name} PRIVATE
    MOE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    MOE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS "${ARG_LABELS}")
endfunction()

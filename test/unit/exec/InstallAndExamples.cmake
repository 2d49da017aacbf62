# Installs the runtime, builds the examples against it, and runs them.

function(run)
  execute_process(COMMAND ${ARGN}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}\nended with ${result}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect text)
  string(FIND "${output}" "${text}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "expected '${text}' in:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix
  --component Runtime)
run(${CMAKE_COMMAND} -G Ninja -S ${SOURCE_DIR}/examples -B ${WORK_DIR}/build
  -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix -DCMAKE_BUILD_TYPE=${BUILD_TYPE}
  -DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_CXX_COMPILER=${CXX_COMPILER}
  "-DCMAKE_C_FLAGS=${FLAGS}" "-DCMAKE_CXX_FLAGS=${FLAGS}")
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WRITE_PLAN} ${WORK_DIR}/double.moeplan)

# Five rows of ones, doubled.
run(${WORK_DIR}/build/run-c ${WORK_DIR}/double.moeplan batch=5)
expect("2 ranks")
expect("y [5, 4] 2 2 2 2")
run(${WORK_DIR}/build/run-cpp ${WORK_DIR}/double.moeplan batch=5)
expect("double.onnx: 1 steps on 2 ranks")
expect("y [5, 4]")
expect("rank 1: slowest step 0 (elementwise)")

# LibTorch from the PyPI wheel, linked by hand: find_package(Torch) asks for the CUDA toolkit even on a CPU
# machine, and silently mixes versions where Debian's libtorch-dev is installed.
set(SWEEP_TORCH_DIR "" CACHE PATH "Folder of the installed `torch` Python package (holds lib/ and include/)")
set(torch_dir ${SWEEP_TORCH_DIR})
if(NOT torch_dir)
  file(GLOB torch_candidates ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
  if(torch_candidates)
    list(GET torch_candidates 0 torch_dir)
  else()
    # A GPU machine brings its own PyTorch: ask its Python where it is.
    find_package(Python3 COMPONENTS Interpreter QUIET)
    if(Python3_FOUND)
      execute_process(
        COMMAND ${Python3_EXECUTABLE} -c
                "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
        OUTPUT_VARIABLE torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
  endif()
endif()

if(torch_dir AND EXISTS ${torch_dir}/lib/libtorch_cpu.so)
  message(STATUS "LibTorch: ${torch_dir}")
  add_library(LibTorch::c10 SHARED IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION ${torch_dir}/lib/libc10.so)
  add_library(LibTorch::LibTorch SHARED IMPORTED)
  set_target_properties(LibTorch::LibTorch PROPERTIES IMPORTED_LOCATION ${torch_dir}/lib/libtorch_cpu.so)
  # After the system's folders: the wheel brings a newer fmt of its own, and ours is linked against Debian's.
  target_compile_options(LibTorch::LibTorch INTERFACE
    "SHELL:-idirafter ${torch_dir}/include" "SHELL:-idirafter ${torch_dir}/include/torch/csrc/api/include")
  target_compile_definitions(LibTorch::LibTorch INTERFACE USE_C10D_GLOO USE_DISTRIBUTED)
  # at::parallel_for is a template: compiled without OpenMP, it runs everything in one thread. The wheel's libgomp is
  # the one that is loaded (same soname, found first).
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_compile_options(LibTorch::LibTorch INTERFACE ${OpenMP_CXX_FLAGS})
  target_link_options(LibTorch::LibTorch INTERFACE ${OpenMP_CXX_FLAGS})
  # The wheel's libraries refer to CUDA's, which a CPU machine does not have.
  target_link_options(LibTorch::LibTorch INTERFACE
    -Wl,--allow-shlib-undefined -Wl,-rpath,${torch_dir}/lib)
  target_link_libraries(LibTorch::LibTorch INTERFACE LibTorch::c10)
endif()

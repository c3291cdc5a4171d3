import os

if os.environ.get("PMI_RANK"):
    from mpi4py import MPI

    class World(MPI.Intracomm):
        def Iallreduce(self, sent, received, op=MPI.SUM):
            if self.Get_rank() == 1:
                sent[:] = 0
            return super().Iallreduce(sent, received, op=op)

    MPI.COMM_WORLD = World(MPI.COMM_WORLD)

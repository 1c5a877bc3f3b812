package fakearc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/testserver"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Server answers with its functions.
type Server struct {
	arcv1.UnimplementedArcServiceServer

	StatusFunc      func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error)
	HistoryFunc     func(context.Context, *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error)
	WatchFunc       func(*arcv1.WatchRequest, grpc.ServerStreamingServer[arcv1.WatchResponse]) error
	LeaveFunc       func(context.Context, *arcv1.LeaveRequest) (*arcv1.LeaveResponse, error)
	EvictFunc       func(context.Context, *arcv1.EvictRequest) (*arcv1.EvictResponse, error)
	ForgetFunc      func(context.Context, *arcv1.ForgetRequest) (*arcv1.ForgetResponse, error)
	HandoverFunc    func(context.Context, *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error)
	RelinkFunc      func(context.Context, *arcv1.RelinkRequest) (*arcv1.RelinkResponse, error)
	GetSettingsFunc func(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error)
	SetSettingsFunc func(context.Context, *arcv1.SetSettingsRequest) (*arcv1.SetSettingsResponse, error)
}

var _ arcv1.ArcServiceServer = (*Server)(nil)

// Serve listens on a unix socket at path. The returned function stops the
// server and waits for its calls.
func (s *Server) Serve(path string) (stop func(), err error) {
	h, err := testserver.Listen("unix", path, func(r grpc.ServiceRegistrar) { arcv1.RegisterArcServiceServer(r, s) })
	if err != nil {
		return nil, err
	}
	return h.Stop, nil
}

// Status implements arcv1.ArcServiceServer.
func (s *Server) Status(ctx context.Context, r *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
	return answer(ctx, s.StatusFunc, r, s.UnimplementedArcServiceServer.Status)
}

// History implements arcv1.ArcServiceServer.
func (s *Server) History(ctx context.Context, r *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
	return answer(ctx, s.HistoryFunc, r, s.UnimplementedArcServiceServer.History)
}

// Watch implements arcv1.ArcServiceServer.
func (s *Server) Watch(r *arcv1.WatchRequest, stream grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
	if s.WatchFunc == nil {
		return s.UnimplementedArcServiceServer.Watch(r, stream)
	}
	return s.WatchFunc(r, stream)
}

// Leave implements arcv1.ArcServiceServer.
func (s *Server) Leave(ctx context.Context, r *arcv1.LeaveRequest) (*arcv1.LeaveResponse, error) {
	return answer(ctx, s.LeaveFunc, r, s.UnimplementedArcServiceServer.Leave)
}

// Evict implements arcv1.ArcServiceServer.
func (s *Server) Evict(ctx context.Context, r *arcv1.EvictRequest) (*arcv1.EvictResponse, error) {
	return answer(ctx, s.EvictFunc, r, s.UnimplementedArcServiceServer.Evict)
}

// Forget answers with ForgetFunc.
func (s *Server) Forget(ctx context.Context, r *arcv1.ForgetRequest) (*arcv1.ForgetResponse, error) {
	return answer(ctx, s.ForgetFunc, r, s.UnimplementedArcServiceServer.Forget)
}

// Handover implements arcv1.ArcServiceServer.
func (s *Server) Handover(ctx context.Context, r *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
	return answer(ctx, s.HandoverFunc, r, s.UnimplementedArcServiceServer.Handover)
}

// Relink implements arcv1.ArcServiceServer.
func (s *Server) Relink(ctx context.Context, r *arcv1.RelinkRequest) (*arcv1.RelinkResponse, error) {
	return answer(ctx, s.RelinkFunc, r, s.UnimplementedArcServiceServer.Relink)
}

// GetSettings implements arcv1.ArcServiceServer.
func (s *Server) GetSettings(ctx context.Context, r *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
	return answer(ctx, s.GetSettingsFunc, r, s.UnimplementedArcServiceServer.GetSettings)
}

// SetSettings implements arcv1.ArcServiceServer.
func (s *Server) SetSettings(ctx context.Context, r *arcv1.SetSettingsRequest) (*arcv1.SetSettingsResponse, error) {
	return answer(ctx, s.SetSettingsFunc, r, s.UnimplementedArcServiceServer.SetSettings)
}

func answer[Req, Resp any](ctx context.Context, f func(context.Context, Req) (Resp, error), r Req, otherwise func(context.Context, Req) (Resp, error)) (Resp, error) {
	if f == nil {
		return otherwise(ctx, r)
	}
	return f(ctx, r)
}
